//! The binary `cidbucket` as a process beside the bench.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A server that runs until this is dropped.
#[derive(Debug)]
pub struct Running {
    child: Child,
    ready: serde_json::Value,
}

impl Running {
    /// Starts it, and waits for the line of JSON that says it is ready.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        stdout.read_line(&mut line).expect("a line");
        let ready = serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"));
        Self { child, ready }
    }

    /// A field of that line.
    pub fn field(&self, name: &str) -> String {
        let field = self.ready[name].as_str();
        field.unwrap_or_else(|| panic!("no {name}")).to_owned()
    }

    /// CPU time of its process so far, in seconds.
    pub fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()));
        let stat = stat.expect("Linux's /proc");
        // Behind the name, which is in parentheses: utime and stime are fields 14 and 15.
        let fields: Vec<&str> = stat
            .rsplit_once(')')
            .expect("a name")
            .1
            .split_whitespace()
            .collect();
        let ticks: u64 = fields[11..13]
            .iter()
            .map(|ticks| ticks.parse::<u64>().expect("ticks"))
            .sum();
        ticks as f64 / 100.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The path of the binary: `CIDBUCKET_BIN` where that is set, else the release build.
pub fn binary() -> PathBuf {
    std::env::var_os("CIDBUCKET_BIN").map_or_else(
        || PathBuf::from("../../target/release/cidbucket"),
        PathBuf::from,
    )
}
