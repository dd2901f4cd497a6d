//! `curl`, the client that shares no code with us.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::Finished;

/// A request that `curl` is to send.
#[derive(Debug)]
pub struct Curl {
    command: Command,
}

impl Curl {
    /// The request of a grant in the JSON form that `cidbucket presign --format json` prints.
    ///
    /// # Panics
    /// Where `grant` has not that form.
    pub fn grant(grant: &Value) -> Self {
        let text = |value: &Value| value.as_str().expect("text in a grant").to_owned();
        let mut command = Command::new("curl");
        // --disable: no ~/.curlrc. The proxy settings of the machine are not for loopback.
        command.args([
            "--disable",
            "--silent",
            "--show-error",
            "--noproxy",
            "*",
            "--max-time",
            "30",
        ]);
        command.args(["--write-out", "%{stderr}%{http_code}"]);
        match text(&grant["method"]).as_str() {
            "GET" => {}
            "HEAD" => drop(command.arg("--head")),
            method => drop(command.args(["--request", method])),
        }
        for (name, value) in grant["headers"].as_object().expect("headers in a grant") {
            // curl sets these two itself, from the URL and the file.
            if !["host", "content-length"].contains(&name.as_str()) {
                command.args(["--header", &format!("{name}: {}", text(value))]);
            }
        }
        command.arg(text(&grant["url"]));
        Self { command }
    }

    /// With the bytes of `file` as the body.
    #[must_use]
    pub fn body(mut self, file: &Path) -> Self {
        self.command
            .arg("--data-binary")
            .arg(format!("@{}", file.display()));
        // curl would declare a form.
        self.command.args(["--header", "content-type:"]);
        self
    }

    /// Sends it: the HTTP status, and the response's body.
    ///
    /// # Panics
    /// Where there is no curl, or there was no HTTP response.
    pub fn send(self) -> (u16, Vec<u8>) {
        let finished = Finished::of(self.command, b"");
        let status = finished
            .stderr
            .lines()
            .last()
            .and_then(|line| line.get(line.len().saturating_sub(3)..))
            .and_then(|status| status.parse().ok());
        match status {
            Some(status @ 100..) => (status, finished.stdout),
            _ => panic!("no response: {finished:?}"),
        }
    }
}
