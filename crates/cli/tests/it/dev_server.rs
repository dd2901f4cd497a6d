//! The first run: `serve --dev`, and the commands against it.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::room::Room;

/// A running `serve --dev --json` over `dev` of a room. Killed by its id when dropped.
struct DevServer {
    child: Child,
    stdout: BufReader<ChildStdout>,
    ready: Value,
}

impl DevServer {
    fn start(room: &Room) -> Self {
        let mut child = room
            .command([
                "serve",
                "--dev",
                "--json",
                "--listen",
                "127.0.0.1:0",
                "--data-dir",
                "dev",
            ])
            .spawn()
            .unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| {
            let _ = child.kill();
            let mut told = String::new();
            let _ = child.stderr.take().unwrap().read_to_string(&mut told);
            panic!("{error}: {line:?}: {told}")
        });
        Self {
            child,
            stdout,
            ready,
        }
    }

    fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().unwrap()
    }

    /// The room's commands work with this server from now on.
    fn furnish(&self, room: Room) -> Room {
        room.env("CIDBUCKET_STORE", self.text("store"))
            .env("AWS_ACCESS_KEY_ID", self.text("access_key"))
            .env("AWS_SECRET_ACCESS_KEY", self.text("secret_key"))
    }

    /// Asks it to stop, and gives its exit code and what else it printed.
    #[cfg(unix)]
    fn stop(mut self) -> (Option<i32>, String) {
        let id = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-TERM", &id])
                .status()
                .unwrap()
                .success()
        );
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            assert!(
                begun.elapsed() < Duration::from_secs(20),
                "it does not stop"
            );
            std::thread::sleep(Duration::from_millis(20));
        };
        let mut rest = String::new();
        self.stdout.read_to_string(&mut rest).unwrap();
        (status.code(), rest)
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn blocks_go_round_in_s3() {
    let home = Room::new();
    let server = DevServer::start(&home);
    let room = server.furnish(Room::new());
    room.file("a", "hello\n");
    room.file("b", vec![9; 1 << 20]);
    let cids = room.run(["put", "a", "b"]).ok().lines();
    assert_eq!(room.run(["get", &cids[1]]).ok().bytes(), vec![9; 1 << 20]);
    let long = room.run(["ls", "--long"]).ok().out();
    assert!(long.contains(&format!("{}        6 20", cids[0])), "{long}");
    room.run(["has", &cids[0], &cids[1]]).ok();
    room.run_with(["rm", "-"], cids.join("\n")).ok();
    room.run(["has", &cids[0]]).code(3);
    assert_eq!(room.run(["ls"]).ok().out(), "");
}

#[test]
fn presigned_requests_have_their_formats() {
    let home = Room::new();
    let server = DevServer::start(&home);
    let room = server.furnish(Room::new());
    room.file("it's.bin", "hello\n");
    let cid = room.run(["put", "it's.bin"]).ok().lines().remove(0);

    let url = room.run(["presign", "get", &cid]).ok().lines();
    assert!(url[0].starts_with(server.text("endpoint")), "{url:?}");
    assert!(url[0].contains("X-Amz-Expires=900&"), "{url:?}");
    let head = room
        .run([
            "presign",
            "get",
            &cid,
            "--method",
            "head",
            "--expires",
            "1h",
            "--json",
        ])
        .ok()
        .json();
    assert_eq!(head[0]["method"], "HEAD");
    assert_eq!(head[0]["cid"], *cid);
    assert!(
        head[0]["url"]
            .as_str()
            .unwrap()
            .contains("X-Amz-Expires=3600&")
    );
    assert!(head[0]["expires"].as_u64().unwrap() > 1_700_000_000);
    let many = room.run_with(["presign", "get", "-", "--json"], format!("{cid}\n{cid}\n"));
    assert_eq!(many.ok().json().len(), 2);

    let put = room
        .run(["presign", "put", "it's.bin", "--seal", "checksum"])
        .ok()
        .out();
    assert!(put.contains(r"--upload-file 'it'\''s.bin'"), "{put}");
    let by_cid = room
        .run([
            "presign", "put", "--cid", &cid, "--size", "6", "--seal", "checksum", "--json",
        ])
        .ok()
        .json();
    assert_eq!(by_cid[0]["method"], "PUT");
    assert_eq!(by_cid[0]["headers"]["content-length"], "6");
    for seal in ["payload-hash", "header", "checksum-md5"] {
        room.run(["presign", "put", "it's.bin", "--seal", seal])
            .ok();
    }

    for args in [
        &["presign", "get", &cid, "--expires", "8d"][..],
        &["presign", "get", &cid, "--expires", "0"],
        &["presign", "put"],
        &["presign", "put", "--cid", &cid],
        &["presign", "put", "it's.bin", "--seal", "wax"],
        &[
            "presign", "put", "it's.bin", "--seal", "checksum", "--hash", "blake3",
        ],
        &[
            "presign", "put", "--cid", &cid, "--size", "3MiB", "--seal", "checksum",
        ],
        &[
            "presign",
            "put",
            "--cid",
            &cid,
            "--size",
            "6",
            "--seal",
            "checksum-md5",
        ],
    ] {
        let refused = room.run(args).code(2);
        assert_eq!(refused.out(), "", "{args:?}");
    }
    let folder = Room::with_folder_store()
        .run(["presign", "get", &cid])
        .code(2);
    assert!(folder.err().contains("s3://"), "{}", folder.err());
}

#[test]
fn a_bucket_in_the_configuration_file() {
    let home = Room::new();
    let server = DevServer::start(&home);
    let room = Room::new()
        .env("AWS_ACCESS_KEY_ID", server.text("access_key"))
        .env("AWS_SECRET_ACCESS_KEY", server.text("secret_key"));
    let settings = |more: &str| {
        format!(
            "store = \"dev\"\n[stores.dev]\nurl = \"s3://{}/some/prefix\"\n\
             endpoint = \"{}\"\nregion = \"{}\"\nconditional = true\n{more}",
            server.text("bucket"),
            server.text("endpoint"),
            server.text("region"),
        )
    };
    room.file(".config/cidbucket/config.toml", settings(""));
    let cid = room.run_with(["put"], "hello\n").ok().lines().remove(0);
    let url = room.run(["presign", "get", &cid]).ok().out();
    assert!(url.contains("/some/prefix/CIQ"), "{url}");
    // Again: what is there counts as put.
    room.run_with(["put"], "hello\n").ok();
    room.file(
        ".config/cidbucket/config.toml",
        settings("condition = true\n"),
    );
    let unknown = room.run(["ls"]).code(2);
    assert!(unknown.err().contains("\"condition\""), "{}", unknown.err());
}

#[test]
fn the_seal_is_found_out_and_kept() {
    let home = Room::new();
    let server = DevServer::start(&home);
    let room = server.furnish(Room::new());
    room.file("block", "hello\n");
    let found = room.run(["presign", "put", "block", "--json"]).ok().json();
    assert!(
        found[0]["headers"]["x-amz-checksum-sha256"].is_string(),
        "{found:?}"
    );
    let kept = std::fs::read_to_string(room.path(".cache/cidbucket/seals.json")).unwrap();
    assert!(kept.contains("\"checksum\""), "{kept}");
    // What is kept is used.
    room.file(
        ".cache/cidbucket/seals.json",
        kept.replace("\"checksum\"", "\"payload-hash\""),
    );
    let used = room.run(["presign", "put", "block", "--json"]).ok().json();
    assert!(
        used[0]["headers"]["x-amz-content-sha256"].is_string(),
        "{used:?}"
    );
    assert_eq!(room.run(["ls"]).ok().out(), "");
}

#[test]
fn doctor_sees_what_the_server_enforces() {
    let home = Room::new();
    let server = DevServer::start(&home);
    let room = server.furnish(Room::new());
    let found = room.run(["doctor", "--json"]).ok().json().remove(0);
    assert_eq!(found["seal"], "checksum", "{found:#}");
    assert_eq!(found["conditional_put"], true, "{found:#}");
    assert_eq!(found["layout"], "kubo", "{found:#}");
    assert!(found["checks"].as_array().unwrap().len() > 10, "{found:#}");
    let table = room.run(["doctor"]).ok().out();
    assert!(table.contains("seals with checksum"), "{table}");
    assert!(!table.contains('\u{1b}'), "{table}");
    // It leaves nothing, not even a foreign key for ls to note.
    assert_eq!(room.run(["ls"]).ok().out(), "");
    // What it found out, presign need not.
    assert!(room.path(".cache/cidbucket/seals.json").exists());
}

#[test]
fn doctor_sees_that_a_bucket_has_another_layout() {
    let home = Room::new();
    let server = DevServer::start(&home);
    let room = server.furnish(Room::new());
    let flatfs = format!("{}&layout=flatfs", server.text("store"));
    room.run_with(["--store", &flatfs, "put"], "hello\n").ok();
    let found = room.run(["doctor", "--json"]).ok().json().remove(0);
    let rows = found["checks"].as_array().unwrap();
    let layout = rows.iter().find(|row| row["id"] == "layout").unwrap();
    assert_ne!(layout["verdict"], "ok", "{layout:#}");
    let told = format!("{} {}", layout["finding"], layout["advice"]);
    assert!(told.contains("layout=flatfs"), "{layout:#}");
    let table = room.run(["doctor"]).ok().out();
    assert!(table.contains("What to change:\n"), "{table}");
    // And ls tells that there is more than it lists.
    let ls = room.run(["ls"]).code(0);
    assert_eq!(ls.out(), "");
    assert!(ls.err().contains("1 key is no block"), "{}", ls.err());
}

#[test]
fn doctor_answers_for_other_stores_too() {
    let room = Room::with_folder_store();
    room.run(["doctor"]).code(7);
    room.run_with(["put"], "hello\n").ok();
    let found = room.run(["doctor", "--json"]).ok().json().remove(0);
    assert!(found["seal"].is_null());
    assert!(
        found["checks"]
            .as_array()
            .unwrap()
            .iter()
            .all(|row| row["verdict"] == "ok")
    );
    assert_eq!(room.run(["ls"]).ok().lines().len(), 1);
    assert!(room.run(["doctor"]).ok().out().contains("next-to-last/2"));
    assert!(
        room.run(["--store", "memory:", "doctor"])
            .ok()
            .out()
            .contains("gone when")
    );
}

#[test]
fn what_s3_refuses_has_its_exit_code() {
    let home = Room::new();
    let server = DevServer::start(&home);
    let denied = server
        .furnish(Room::new())
        .env("AWS_SECRET_ACCESS_KEY", "wrong");
    let error = denied.run(["--json", "ls"]).code(4).json_error();
    assert_eq!(error["class"], "denied");
    assert_eq!(error["status"], 403);
    assert_eq!(error["code"], "SignatureDoesNotMatch");
    let store = format!("s3://nothing-here?endpoint={}", server.text("endpoint"));
    server
        .furnish(Room::new())
        .run(["--store", &store, "ls"])
        .code(7);
}

#[cfg(unix)]
#[test]
fn data_and_keys_outlive_the_server() {
    let home = Room::new();
    let server = DevServer::start(&home);
    let keys = server.ready["secret_key"].clone();
    let room = server.furnish(Room::new());
    let cid = room.run_with(["put"], "kept").ok().lines().remove(0);

    // The folder is in use.
    let second = home
        .run([
            "serve",
            "--dev",
            "--listen",
            "127.0.0.1:0",
            "--data-dir",
            "dev",
        ])
        .code(1);
    assert!(second.err().contains("hint: "), "{}", second.err());
    // So is the address.
    let address = server.text("endpoint").trim_start_matches("http://");
    let taken = home
        .run(["serve", "--dev", "--listen", address, "--data-dir", "other"])
        .code(1);
    assert!(taken.err().contains("127.0.0.1:0"), "{}", taken.err());

    let (code, printed) = server.stop();
    assert_eq!((code, &*printed), (Some(0), ""));
    let again = DevServer::start(&home);
    assert_eq!(again.ready["secret_key"], keys);
    assert_eq!(
        again.furnish(Room::new()).run(["get", &cid]).ok().out(),
        "kept"
    );
}

#[cfg(unix)]
#[test]
fn what_it_prints_can_be_pasted() {
    let home = Room::new();
    let mut child = home
        .command(["serve", "--dev", "--listen", "127.0.0.1:0"])
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.push(line.unwrap());
        if lines.last().unwrap().contains("cidbucket doctor") {
            break;
        }
    }
    // The page's address is for a browser.
    let for_a_shell = |line: &str| !line.contains("cidbucket doctor") && !line.contains("/#token=");
    lines.retain(|line| line.starts_with("  ") && for_a_shell(line));
    let script = lines.join("\n");
    let pasted = Command::new("sh")
        .args([
            "-euc",
            &script.replace("curl ", "curl --silent --noproxy '*' "),
        ])
        .current_dir(home.path(""))
        .output();
    let stopped = child.kill();
    child.wait().unwrap();
    stopped.unwrap();
    let pasted = pasted.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&pasted.stdout),
        "hello world\n",
        "{script}\n{}",
        String::from_utf8_lossy(&pasted.stderr)
    );
    assert!(home.path(".local/share/cidbucket/dev/keys.json").exists());
}

#[cfg(unix)]
#[test]
fn bench_cleans_up_when_it_is_interrupted() {
    let home = Room::new();
    let server = DevServer::start(&home);
    let room = server.furnish(Room::new());
    let mut bench = room
        .command(["bench", "--blocks", "1000000", "--size", "16"])
        .spawn()
        .unwrap();
    let begun = Instant::now();
    while room.run(["ls"]).ok().out().is_empty() {
        assert!(
            begun.elapsed() < Duration::from_secs(20),
            "it does not begin"
        );
    }
    let id = bench.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-INT", &id])
            .status()
            .unwrap()
            .success()
    );
    let ended = bench.wait().unwrap();
    assert_eq!(ended.code(), Some(130));
    assert_eq!(room.run(["ls"]).ok().out(), "");
}
