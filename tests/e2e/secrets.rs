//! No secret is ever printed: not in logs of any level, not in errors, not in `Debug`.

use cidbucket_tests::{Cidbucket, DevServer, Finished, Target};

/// A secret key and a session token that no test could print by chance.
const CANARY: &str = "cAnArY0secret0key0that0must0never0be0printed";
const TOKEN: &str = "cAnArY0session0token0that0must0never0be0printed";
const ABSENT: &str = "bafkreigq25o3hzc5x7qphxbfmtf6tvem63pmbpoufasaddd765a23l7d4u";

/// Everything that a finished command printed, searched for what must not be in it. A session token
/// is a part of every URL signed with it, so those that were asked for may have it.
#[track_caller]
fn is_clean(finished: &Finished, secret: &str, token: Option<&str>) {
    let stdout = String::from_utf8_lossy(&finished.stdout);
    let results = stdout.replace(&format!("X-Amz-Security-Token={TOKEN}&"), "");
    for text in [&*results, &*finished.stderr] {
        for secret in [Some(secret), token].into_iter().flatten() {
            assert!(!text.contains(secret), "{secret} was printed: {finished:?}");
        }
    }
    // A signature is as good as the secret while it lasts. A grant on standard output is a result.
    for signature in ["X-Amz-Signature=", "Signature=", "X-Amz-Security-Token"] {
        assert!(
            !finished.stderr.contains(signature),
            "{signature} was logged: {finished:?}"
        );
    }
}

fn commands() -> Vec<Vec<&'static str>> {
    [
        "put",
        "ls",
        "ls --json",
        "--json put",
        "get bafkreigq25o3hzc5x7qphxbfmtf6tvem63pmbpoufasaddd765a23l7d4u",
        "has bafkreigq25o3hzc5x7qphxbfmtf6tvem63pmbpoufasaddd765a23l7d4u",
        "stat bafkreigq25o3hzc5x7qphxbfmtf6tvem63pmbpoufasaddd765a23l7d4u",
        "presign get bafkreigq25o3hzc5x7qphxbfmtf6tvem63pmbpoufasaddd765a23l7d4u",
        "presign put --cid bafkreigq25o3hzc5x7qphxbfmtf6tvem63pmbpoufasaddd765a23l7d4u --size 9 --format json",
        "doctor",
        "doctor --json",
        "rm bafkreigq25o3hzc5x7qphxbfmtf6tvem63pmbpoufasaddd765a23l7d4u",
        "no-such-command",
    ]
    .iter()
    .map(|line| line.split(' ').collect())
    .collect()
}

#[test]
fn commands_that_work_print_no_secret() {
    let target = Target::new();
    let cidbucket = target
        .cidbucket()
        .env("CIDBUCKET_LOG", "trace")
        .env("RUST_BACKTRACE", "1");
    let mut logged = 0;
    for command in commands() {
        let finished = cidbucket.run_with(&command, b"a block");
        is_clean(&finished, &target.secret_key, None);
        logged += finished.stderr.len();
    }
    // Silence would prove nothing.
    assert!(logged > 10_000, "TRACE logged only {logged} bytes");
}

#[test]
fn commands_that_fail_print_no_secret() {
    let target = Target::new();
    let Target { region, bucket, .. } = &target;
    let wrong_keys = target
        .cidbucket()
        .env("CIDBUCKET_LOG", "trace")
        .env("AWS_SECRET_ACCESS_KEY", CANARY)
        .env("AWS_SESSION_TOKEN", TOKEN);
    let no_bucket = wrong_keys
        .clone()
        .env("CIDBUCKET_STORE", target.missing_store());
    let not_http = wrong_keys.clone().env(
        "CIDBUCKET_STORE",
        format!("s3://{bucket}?endpoint=nonsense://{CANARY}@x&region={region}"),
    );
    let unknown_setting = wrong_keys.clone().env(
        "CIDBUCKET_STORE",
        format!("s3://{bucket}?secret_access_key={CANARY}&region={region}"),
    );
    for cidbucket in [wrong_keys, no_bucket, not_http, unknown_setting] {
        for command in commands() {
            is_clean(
                &cidbucket.run_with(&command, b"a block"),
                CANARY,
                Some(TOKEN),
            );
        }
    }
}

#[test]
fn keys_in_files_are_not_printed() {
    let target = Target::new();
    let folder = tempfile::tempdir().expect("a temporary folder");
    let credentials = folder.path().join("credentials");
    std::fs::write(
        &credentials,
        format!("[default]\naws_access_key_id = key\naws_secret_access_key = {CANARY}\naws_session_token = {TOKEN}\n[broken\n{CANARY}\n"),
    )
    .expect("a file in a temporary folder");
    let cidbucket = Cidbucket::new()
        .env("CIDBUCKET_STORE", target.store())
        .env("CIDBUCKET_LOG", "trace")
        .env(
            "AWS_SHARED_CREDENTIALS_FILE",
            credentials.display().to_string(),
        );
    for command in commands() {
        is_clean(
            &cidbucket.run_with(&command, b"a block"),
            CANARY,
            Some(TOKEN),
        );
    }
}

#[test]
fn the_embedded_server_logs_no_secret() {
    let data = tempfile::tempdir().expect("a temporary folder");
    let loud = Cidbucket::new().env("CIDBUCKET_LOG", "trace");
    let server = DevServer::start(data.path(), &loud, &[]);
    let secret = server.field("secret_key").to_owned();
    let cidbucket = Cidbucket::new()
        .env("CIDBUCKET_STORE", server.field("store"))
        .env("AWS_ACCESS_KEY_ID", server.field("access_key"))
        .env("AWS_SECRET_ACCESS_KEY", &*secret);
    cidbucket.run_with(["put"], b"a block").ok();
    cidbucket.run(["get", ABSENT]).failed_with(3);
    cidbucket
        .clone()
        .env("AWS_SECRET_ACCESS_KEY", CANARY)
        .run(["ls"])
        .failed_with(4);
    let grant = cidbucket
        .run(["presign", "get", ABSENT, "--format", "json"])
        .ok()
        .json();
    let request = cidbucket_tests::wire::Request::grant(&grant, b"");
    assert_eq!(request.send().expect("a response").status, 404);
    let signature = request
        .query
        .iter()
        .find(|(name, _)| name == "X-Amz-Signature");
    let signature = signature.expect("a signed query").1.clone();

    let (stdout, stderr) = server.kill();
    for text in [stdout, stderr] {
        for secret in [&*secret, CANARY, &*signature] {
            assert!(!text.contains(secret), "{secret} was printed: {text}");
        }
    }
}
