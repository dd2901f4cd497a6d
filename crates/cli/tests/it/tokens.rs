//! Keys, tokens, and what is in them.

use crate::room::{Ran, Room};

/// A room with a key pair: `issuer.json` and `keys.json`.
fn room() -> Room {
    let room = Room::new();
    let keys = room.run(["token", "key", "-o", "issuer.json"]).code(0);
    assert!(keys.err().contains("issuer.json"), "{}", keys.err());
    room.file("keys.json", keys.bytes());
    room
}

fn issue(room: &Room, args: &[&str]) -> String {
    let mut all = vec!["token", "issue", "--key", "issuer.json"];
    all.extend(args);
    let ran = room.run(all).ok();
    ran.out().trim_end().to_owned()
}

/// The lines of an inspection, by their first word.
#[track_caller]
fn row(ran: &Ran, name: &str) -> String {
    let lines = ran.lines();
    let line = lines.iter().find_map(|line| line.strip_prefix(name));
    line.unwrap_or_else(|| panic!("no {name} in {}", ran.out()))
        .trim()
        .to_owned()
}

#[test]
fn a_token_says_what_was_typed() {
    let room = room();
    let token = issue(
        &room,
        &[
            "--sub=alice",
            "--ops=read,list",
            "--tenant=team-7",
            "--hashes=sha2-256,blake2b-256",
            "--codecs=raw,0x300",
            "--max-block=2MiB",
            "--max-bytes=10GiB",
            "--window=1GiB/24h",
            "--rate=20",
            "--burst=100",
            "--answer-stored=false",
            "--audience=https://a",
            "--audience=https://b",
            "--issuer=me",
            "--id=t-1",
            "--expires=30d",
        ],
    );
    let shown = room
        .run(["token", "inspect", "--key", "keys.json", &token])
        .ok();
    for (name, text) in [
        ("for", "alice"),
        ("id", "t-1"),
        ("issuer", "me"),
        ("audience", "https://a, https://b"),
        ("may", "read, list"),
        ("blocks", "of the tenant team-7"),
        ("hashes", "sha2-256, blake2b-256"),
        ("codecs", "raw, 0x300"),
        ("max block", "2 MiB"),
        ("bytes", "10 GiB in all, 1 GiB in 1day"),
        ("requests", "20 a second, 100 at once"),
        ("stored", "may not learn that a block is stored already"),
    ] {
        assert_eq!(row(&shown, name), text);
    }
    assert!(row(&shown, "signature").starts_with("good: by key "));
    assert!(row(&shown, "valid").starts_with("now: until 20"));
}

#[test]
fn scripts_get_json() {
    let room = room().env("CIDBUCKET_TOKEN_KEY", "issuer.json");
    let issued = room.run(["token", "issue", "--json"]).ok().json().remove(0);
    let token = issued["token"].as_str().unwrap();
    let seen = room
        .run_with(["token", "inspect", "--json"], format!("{token}\n"))
        .ok()
        .json()
        .remove(0);
    assert_eq!(seen["signature"], "verified");
    assert_eq!(seen["key"], issued["key"]);
    assert_eq!(seen["refused"], serde_json::Value::Null);
    assert_eq!(seen["claims"]["jti"], issued["id"]);
    assert_eq!(seen["claims"]["exp"], issued["expires"]);
    assert_eq!(
        seen["claims"]["cap"]["ops"],
        serde_json::json!(["read", "write"])
    );
    // The signing key's own file verifies, and so does the token of the environment.
    let room = room.env("CIDBUCKET_TOKEN", token);
    let seen = room.run(["token", "inspect"]).ok();
    assert!(row(&seen, "signature").starts_with("good"));
    let other = room.run(["token", "issue", "--json"]).ok().json().remove(0);
    assert_ne!(other["id"], issued["id"]);
}

#[test]
fn a_token_that_would_be_refused_is_four() {
    let room = room();
    let token = issue(&room, &[]);
    let unchecked = room.run(["token", "inspect", &token]).ok();
    assert!(row(&unchecked, "signature").starts_with("NOT VERIFIED"));

    let altered = format!("{}A", &token[..token.len() - 1]);
    for bad in [format!("{token}A"), altered] {
        if bad != token {
            let shown = room
                .run(["token", "inspect", "--key", "keys.json", &bad])
                .code(4);
            assert!(row(&shown, "signature").starts_with("REFUSED"));
        }
    }
    room.run(["token", "key", "--alg=hs256", "-o", "other.json"])
        .code(0);
    let shown = room
        .run(["token", "inspect", "--key", "other.json", &token])
        .code(4);
    assert!(row(&shown, "signature").contains("not known"));

    // {"alg":"none"} with an end in 1970, and a claim that is none of ours.
    let old = "eyJhbGciOiJub25lIn0.eyJleHAiOjEsImNhcCI6eyJvcHMiOlsicmVhZCJdfX0.";
    let shown = room.run(["token", "inspect", old]).code(4);
    assert!(row(&shown, "valid").starts_with("NOT NOW: until 1970-01-01T00:00:01Z ("));
    let strange = "eyJhbGciOiJub25lIn0.eyJleHAiOjEsImNhcCI6eyJvcHMiOlsiZmx5Il19fQ.";
    let shown = room.run(["token", "inspect", strange]).code(4);
    assert!(row(&shown, "claims").contains("\"fly\""));
    room.run(["token", "inspect", "no token"]).code(2);
}

#[test]
fn keys_are_private_and_never_written_over() {
    let room = room();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(room.path("issuer.json"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o077, 0);
    }
    let private = std::fs::read_to_string(room.path("issuer.json")).unwrap();
    let jwk: serde_json::Value = serde_json::from_str(&private).unwrap();
    let d = jwk["d"].as_str().unwrap();
    let public = std::fs::read_to_string(room.path("keys.json")).unwrap();
    assert!(!public.contains(d) && public.contains(jwk["x"].as_str().unwrap()));
    let again = room.run(["token", "key", "--public", "issuer.json"]).ok();
    assert_eq!(again.out(), public);

    let taken = room.run(["token", "key", "-o", "issuer.json"]).code(1);
    assert!(
        taken.err().contains("never written over"),
        "{}",
        taken.err()
    );
    let unchanged = std::fs::read_to_string(room.path("issuer.json")).unwrap();
    assert_eq!(unchanged, private);

    room.run(["token", "key", "--alg", "hs256", "-o", "secret.json"])
        .code(0);
    let none = room
        .run(["token", "key", "--public", "secret.json"])
        .code(2);
    assert!(none.err().contains("no public part"));
    assert_eq!(room.run(["token", "key"]).ok().err(), "");
}

#[test]
fn what_cannot_be_meant_is_two() {
    let room = room();
    let none = room.run(["token", "issue"]).code(2);
    assert!(
        none.err().contains("hint: give --key FILE"),
        "{}",
        none.err()
    );
    let public = room.run(["token", "issue", "--key", "keys.json"]).code(2);
    assert!(
        public.err().contains("keys.json: it is a public key"),
        "{}",
        public.err()
    );
    let missing = room.run(["token", "issue", "--key", "none.json"]).code(1);
    assert!(missing.err().contains("none.json") && missing.err().contains("hint: "));
    for wrong in [
        "--ops=fly",
        "--ops=",
        "--tenant=../a",
        "--hashes=md5",
        "--codecs=x",
        "--max-block=big",
        "--window=1GiB",
        "--rate=0",
        "--burst=5",
        "--answer-stored=perhaps",
        "--expires=0",
        "--id=\n",
        "--alg=none",
    ] {
        let ran = room.run(["token", "issue", "--key", "issuer.json", wrong]);
        assert_eq!(ran.0.status.code(), Some(2), "{wrong}: {}", ran.err());
    }
    room.run(["token", "key", "--alg", "none"]).code(2);
}

#[test]
fn no_key_is_shown_by_a_log_or_an_error() {
    let room = room().env("CIDBUCKET_LOG", "trace");
    let private = std::fs::read_to_string(room.path("issuer.json")).unwrap();
    let jwk: serde_json::Value = serde_json::from_str(&private).unwrap();
    let d = jwk["d"].as_str().unwrap();
    room.file("broken.json", private.replace("\"d\"", "\"d\": 1, \"d\""));
    room.file("cut.json", &private[..private.len() / 2 + 40]);
    for file in ["issuer.json", "broken.json", "cut.json"] {
        for command in ["issue", "inspect"] {
            let mut args = vec!["token", command, "--key", file];
            if command == "inspect" {
                args.push("a.b.c");
            }
            let ran = room.run(args);
            assert!(!(ran.out() + &ran.err()).contains(d), "{file} {command}");
        }
    }
}
