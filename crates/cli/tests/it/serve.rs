//! `serve --store`: what it is told, and what it is not told.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, ChildStdout};

use serde_json::Value;

use crate::room::Room;

/// A running service, killed by its id when dropped.
struct Service {
    child: Child,
    // Kept open, so that it can go on writing.
    _stdout: BufReader<ChildStdout>,
    authority: String,
}

impl Service {
    fn start(room: &Room, args: &[&str]) -> Self {
        let args = ["serve", "--json", "--listen", "127.0.0.1:0"]
            .iter()
            .chain(args);
        let mut child = room.command(args).spawn().unwrap();
        let mut stdout = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        let ready: Value = serde_json::from_str(&line).unwrap_or_else(|error| {
            let _ = child.kill();
            let mut told = String::new();
            let _ = child.stderr.take().unwrap().read_to_string(&mut told);
            panic!("{error}: {line:?}: {told}")
        });
        let url = ready["service"].as_str().unwrap();
        Self {
            child,
            _stdout: stdout,
            authority: url.strip_prefix("http://").unwrap().to_owned(),
        }
    }

    /// The body of an answer, and its status.
    fn get(&self, path: &str, token: &str) -> (u16, String) {
        let mut stream = TcpStream::connect(&self.authority).unwrap();
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nconnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        (head[9..12].parse().unwrap(), body.to_owned())
    }

    fn info(&self) -> Value {
        serde_json::from_str(&self.get("/v1/info", "x").1).unwrap()
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_folder_is_served_to_whoever_has_a_token() {
    let room = Room::new();
    room.run(["--quiet", "token", "key", "-o", "key.json"]).ok();
    let token = room
        .run(["token", "issue", "--key", "key.json", "--ops", "read"])
        .ok();
    let token = token.out().trim().to_owned();
    room.file("f", "hello\n");
    let cid = room.run(["--store", "dir:blocks", "put", "f"]).ok();
    let cid = cid.out().trim().to_owned();
    let service = Service::start(&room, &["--store", "dir:blocks", "--token-key", "key.json"]);
    let path = format!("/v1/blocks/{cid}");
    assert_eq!(service.get(&path, &token), (200, "hello\n".to_owned()));
    assert_eq!(service.get(&path, "forged").0, 401);
    assert_eq!(service.get("/v1/blocks", &token).0, 403);
}

#[test]
fn an_option_wins_over_the_environment_which_wins_over_the_file() {
    let room = Room::new();
    let file = "store = \"memory:\"\n[serve]\npublic_reads = true\nread_expires = 11\n\
                write_expires = \"12s\"\nmax_blocks = 13\nmin_rate = \"1KiB\"\nput_price = 0.01\n";
    room.file("config.toml", file);
    let room = room
        .env("CIDBUCKET_CONFIG", "config.toml")
        .env("CIDBUCKET_WRITE_EXPIRES", "22")
        .env("CIDBUCKET_MAX_BLOCKS", "23");
    let info = Service::start(&room, &["--max-blocks", "33"]).info();
    assert_eq!(info["reads"], "public");
    assert_eq!(info["limits"]["read_expires"], 11);
    assert_eq!(info["limits"]["write_expires"], 22);
    assert_eq!(info["limits"]["max_blocks"], 33);
    // What the file turns on can be turned off.
    let told = room.run(["serve", "--public-reads=false"]);
    let told = told.code(2).err();
    assert!(told.contains("token key"), "{told}");
}

#[test]
fn what_makes_no_sense_is_said() {
    let room = Room::new().env("CIDBUCKET_STORE", "memory:");
    room.file("empty.json", "{}");
    for (args, says) in [
        (&[][..], "cidbucket token key"),
        (&["--token-key", "missing.json"], "missing.json"),
        (&["--token-key", "empty.json"], "empty.json"),
        (&["--jwks", "a", "--token-key", "b"], "cannot be used with"),
        (&["--public-reads", "--tls-cert", "c.pem"], "go together"),
        (
            &["--public-reads", "--tls-cert", "c", "--tls-key", "k"],
            "c: ",
        ),
        (
            &["--public-reads", "--seal", "wax"],
            "--seal: give checksum",
        ),
        (
            &["--public-reads", "--seal", "checksum-md5"],
            "--seal: give",
        ),
        (
            &["--public-reads", "--verify", "hope"],
            "--verify: give trust",
        ),
        (
            &["--public-reads", "--listen", "9754"],
            "--listen: give an address",
        ),
        (
            &["--public-reads", "--read-expires", "0"],
            "--read-expires: ",
        ),
        (&["--public-reads", "--read-expires", "8d"], "604800"),
        (
            &["--public-reads", "--max-requests", "0"],
            "--max-requests: ",
        ),
        (&["--public-reads", "--bucket", "other"], "goes with --dev"),
        (&["--public-reads", "--data-dir", "x"], "--dev"),
    ] {
        let told = room.run(["serve"].iter().chain(args));
        let told = told.code(2).err();
        assert!(told.contains(says), "{args:?}: {told}");
    }
    room.file("config.toml", "[serve]\nlisten_to = \"x\"\n");
    let told = room.run(["serve", "--config", "config.toml"]);
    let told = told.code(2).err();
    assert!(
        told.contains("serve.listen_to") && told.contains("read_expires"),
        "{told}"
    );
}
