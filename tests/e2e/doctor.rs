//! `doctor` says what a server really enforces, and leaves nothing behind.

use cidbucket_tests::Target;
use serde_json::Value;

#[test]
fn doctor_finds_the_seal_that_the_server_enforces() {
    let target = Target::new();
    let cidbucket = target.cidbucket();
    let verdict = cidbucket.run(["doctor", "--json"]).ok().json();
    assert_eq!(verdict["seal"], *target.seal, "{verdict:#}");
    // All three servers that these tests run against have these.
    for condition in ["conditional_put", "conditional_replace"] {
        assert_eq!(verdict[condition], true, "{condition} {verdict:#}");
    }
    // Ceph copies whatever lies there; it is also the one that wants its own seal.
    let copies = target.seal == "checksum";
    assert_eq!(verdict["conditional_copy"], copies, "{verdict:#}");
    assert!(verdict["layout"].is_string(), "{verdict:#}");
    assert!(!matches!(verdict["cors"], Value::Null), "{verdict:#}");
    // What it wrote to find out, it has removed.
    let ls = cidbucket.run(["ls"]).ok();
    assert_eq!((ls.text(), &*ls.stderr), ("", ""));
}

#[test]
fn doctor_tells_a_person_the_same() {
    let target = Target::new();
    let doctor = target.cidbucket().run(["doctor"]).ok();
    assert!(doctor.text().contains(&target.seal), "{doctor:?}");
}

#[test]
fn doctor_says_why_it_cannot_look() {
    let target = Target::new();
    let mallory = target
        .cidbucket()
        .env("AWS_SECRET_ACCESS_KEY", "a-secret-that-is-wrong");
    let denied = mallory.run(["doctor"]).failed_with(4);
    assert!(
        !denied.stderr.is_empty() || !denied.stdout.is_empty(),
        "{denied:?}"
    );
    let missing = target.missing_store();
    let doctor = target.cidbucket().run(["--store", &missing, "doctor"]);
    doctor.failed_with(7);
}
