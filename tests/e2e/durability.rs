//! What the embedded server has acknowledged survives SIGKILL, and what it has not is there whole
//! or not at all.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use cidbucket_tests::{Cidbucket, DevServer};

const FILES: usize = 300;

fn client(server: &DevServer) -> Cidbucket {
    Cidbucket::new()
        .env("CIDBUCKET_STORE", server.field("store"))
        .env("AWS_ACCESS_KEY_ID", server.field("access_key"))
        .env("AWS_SECRET_ACCESS_KEY", server.field("secret_key"))
}

/// Files of many sizes, none like another, nor like those of another round.
fn files(folder: &Path, round: usize) -> Vec<PathBuf> {
    (0..FILES)
        .map(|number| {
            let path = folder.join(format!("{round}-{number}"));
            let line = format!("round {round}, file {number}\n");
            fs::write(&path, line.repeat(1 + number * 37 % 2000))
                .expect("a file in a temporary folder");
            path
        })
        .collect()
}

#[test]
fn acknowledged_blocks_survive_a_kill() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let data = folder.path().join("data");
    let mut acknowledged: Vec<String> = Vec::new();

    // Killed early, in the middle, and late.
    for (round, kill_after) in [3, FILES / 2, FILES - 20].into_iter().enumerate() {
        let server = DevServer::start(&data, &Cidbucket::new(), &[]);
        let mut put = client(&server)
            .command()
            .arg("put")
            .args(files(folder.path(), round))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(put.stdout.take().expect("a pipe")).lines();
        let mut cids = Vec::new();
        for line in lines.by_ref().take(kill_after) {
            cids.push(line.expect("a line of UTF-8"));
        }
        assert_eq!(cids.len(), kill_after, "put ended by itself");
        server.kill();
        // It would try again for a while; what it had printed by now still counts.
        put.kill().expect("a child of ours");
        put.wait().expect("a child of ours");
        cids.extend(lines.map(|line| line.expect("a line of UTF-8")));
        assert!(cids.len() < FILES, "killed too late to prove anything");
        acknowledged.extend(cids);

        let server = DevServer::start(&data, &Cidbucket::new(), &[]);
        let cidbucket = client(&server);
        let lines = acknowledged.join("\n");
        let has = cidbucket.run_with(["has", "-"], lines.as_bytes()).ok();
        assert_eq!(has.lines().len(), acknowledged.len(), "round {round}");
        // `get` checks each block against its CID. All that is listed is whole, acknowledged or not.
        let ls = cidbucket.run(["ls"]).ok();
        assert!(ls.lines().len() >= acknowledged.len(), "round {round}");
        let out = format!("{}/", folder.path().join(format!("out-{round}")).display());
        cidbucket
            .run_with(["get", "-", "-o", &out], &ls.stdout)
            .ok();
        // And the store takes what it had not yet.
        cidbucket
            .run(
                [PathBuf::from("put")]
                    .into_iter()
                    .chain(files(folder.path(), round)),
            )
            .ok();
    }
}
