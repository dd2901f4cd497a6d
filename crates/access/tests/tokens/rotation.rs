//! Keys that change while the service runs.

use std::fs;
use std::path::Path;

use cidbucket_access::{Algorithm, Flaw, KeyError, SigningKey, TokenAuthorizer};

use crate::{NOW, at, issue, key};

fn write(path: &Path, keys: &[&SigningKey]) {
    let keys: Vec<_> = keys.iter().map(|key| key.to_jwk().to_string()).collect();
    // Put in place whole, as whoever runs a service should.
    let new = path.with_extension("new");
    fs::write(&new, format!(r#"{{"keys":[{}]}}"#, keys.join(","))).unwrap();
    fs::rename(new, path).unwrap();
}

#[test]
fn new_keys_are_seen_and_old_ones_forgotten() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let (old, new) = (key(Algorithm::EdDsa, 1), key(Algorithm::Hs256, 2));
    let (by_old, by_new) = (issue(&old), issue(&new));
    write(&path, &[&old]);
    let authorizer = TokenAuthorizer::from_file(&path, at(NOW)).unwrap();
    let good = |now| [&by_old, &by_new].map(|token| authorizer.verify(token, at(now)).is_ok());
    assert_eq!(good(NOW), [true, false]);

    write(&path, &[&old, &new]);
    assert_eq!(good(NOW), [true, false], "looked at once a second");
    assert_eq!(good(NOW + 1), [true, true]);

    write(&path, &[&new]);
    assert_eq!(
        good(NOW + 2),
        [false, true],
        "also where its token is remembered"
    );

    write(&path, &[]);
    assert_eq!(good(NOW + 3), [false, false]);
    write(&path, &[&old]);
    assert_eq!(good(NOW + 4), [true, false]);
}

#[test]
fn a_broken_file_leaves_the_old_keys_in_force() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let (old, new) = (key(Algorithm::EdDsa, 1), key(Algorithm::EdDsa, 2));
    write(&path, &[&old]);
    let authorizer = TokenAuthorizer::from_file(&path, at(NOW)).unwrap();
    let good = |key: &SigningKey, now| authorizer.verify(&issue(key), at(now)).is_ok();
    for (second, broken) in (1..).zip(["", "{", r#"{"keys":[{"kty":"oct"}]}"#, "[1]"]) {
        fs::write(&path, broken).unwrap();
        assert!(good(&old, NOW + second), "{broken}");
    }
    fs::remove_file(&path).unwrap();
    assert!(good(&old, NOW + 10));
    write(&path, &[&new]);
    assert!(good(&new, NOW + 11));
    assert!(!good(&old, NOW + 11));
}

#[test]
fn a_clock_that_is_set_back_does_not_stop_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let (old, new) = (key(Algorithm::EdDsa, 1), key(Algorithm::EdDsa, 2));
    write(&path, &[&old]);
    let authorizer = TokenAuthorizer::from_file(&path, at(NOW)).unwrap();
    write(&path, &[&new]);
    let before = at(NOW - 3600);
    assert_eq!(
        authorizer.verify(&issue(&old), before),
        Err(Flaw::UnknownKey)
    );
    assert!(authorizer.verify(&issue(&new), before).is_ok());
}

#[test]
fn at_the_start_the_file_must_be_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keys.json");
    let open = || TokenAuthorizer::from_file(&path, at(NOW)).unwrap_err();
    assert!(matches!(open(), KeyError::File { .. }));
    assert!(open().to_string().contains("keys.json"));
    fs::write(&path, "{").unwrap();
    assert!(matches!(open(), KeyError::Syntax { line: 1, .. }));
    fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(matches!(open(), KeyError::File { .. }));
}
