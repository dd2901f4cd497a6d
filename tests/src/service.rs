//! A running `cidbucket serve --store`, and tokens for it.

use std::path::{Path, PathBuf};

use cidbucket_direct::{Code, Encoding, Granted, Problem, Write, Writes};
use serde_json::Value;
use tempfile::TempDir;

use crate::process::Process;
use crate::wire::{Request, Response};
use crate::{Cidbucket, Target};

/// The key with which tests issue tokens, in a folder that goes with it.
#[derive(Debug)]
pub struct TokenKey {
    folder: TempDir,
}

impl TokenKey {
    /// A new key.
    ///
    /// # Panics
    /// Where the binary makes none.
    pub fn new() -> Self {
        let key = Self {
            folder: tempfile::tempdir().expect("a temporary folder"),
        };
        let path = key.path();
        let path = path.to_str().expect("a path of UTF-8");
        Cidbucket::new().run(["token", "key", "-o", path]).ok();
        key
    }

    /// The file it is in.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("token-key.json")
    }

    /// A token, with what `token issue` is told about it.
    ///
    /// # Panics
    /// Where the binary issues none.
    pub fn issue(&self, options: &[&str]) -> String {
        let path = self.path();
        let path = path.to_str().expect("a path of UTF-8");
        let issue = Cidbucket::new().run(
            ["token", "issue", "--key", path]
                .into_iter()
                .chain(options.iter().copied()),
        );
        issue.ok().text().trim_end().to_owned()
    }
}

impl Default for TokenKey {
    fn default() -> Self {
        Self::new()
    }
}

/// A service over a bucket, in a process of its own, killed on drop.
#[derive(Debug)]
pub struct Service {
    process: Process,
    authority: String,
    /// Its home.
    _binary: Cidbucket,
}

impl Service {
    /// Starts one over the target, on a free port, with further arguments.
    ///
    /// # Panics
    /// Where it does not come up.
    pub fn start(target: &Target, key: &Path, args: &[&str]) -> Self {
        let binary = target.cidbucket();
        let mut command = binary.command();
        command
            .args(["serve", "--json", "--listen", "127.0.0.1:0", "--token-key"])
            .arg(key)
            .args(args);
        let process = Process::start(command);
        let authority = process
            .field("service")
            .strip_prefix("http://")
            .expect("a service of plain HTTP")
            .trim_end_matches('/')
            .to_owned();
        Self {
            process,
            authority,
            _binary: binary,
        }
    }

    /// Host and port.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.authority)
    }

    /// The process.
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// The process, for a test that ends it.
    pub fn into_process(self) -> Process {
        self.process
    }

    /// A request to it, with a token unless that is empty.
    pub fn request(&self, method: &str, path: &str, token: &str, body: Vec<u8>) -> Request {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let mut request = Request {
            authority: self.authority.clone(),
            method: method.to_owned(),
            path: path.to_owned(),
            query: query
                .split('&')
                .filter_map(|pair| pair.split_once('='))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            headers: vec![("host".to_owned(), self.authority.clone())],
            body,
        };
        if !token.is_empty() {
            request.set_header("authorization", &format!("Bearer {token}"));
        }
        if !request.body.is_empty() || matches!(method, "PUT" | "POST") {
            request.set_header("content-length", &request.body.len().to_string());
        }
        request
    }

    /// Sends a request to it.
    ///
    /// # Panics
    /// Where no response comes.
    #[track_caller]
    pub fn ask(&self, method: &str, path: &str, token: &str, body: Vec<u8>) -> Response {
        let request = self.request(method, path, token, body);
        request.send().unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asks for grants to write.
    ///
    /// # Panics
    /// Where there are none.
    #[track_caller]
    pub fn writes(&self, token: &str, blocks: Vec<Write>) -> Granted {
        let response = self.ask_for_writes(token, blocks);
        assert_eq!(response.status, 200, "{}", text(&response));
        let granted = Encoding::Json.decode("answer", &response.body);
        granted.unwrap_or_else(|error| panic!("{error}"))
    }

    /// Asks for grants to write, whatever the answer.
    #[track_caller]
    pub fn ask_for_writes(&self, token: &str, blocks: Vec<Write>) -> Response {
        let writes = Writes {
            blocks,
            expires: None,
        };
        self.ask("POST", "/v1/writes", token, Encoding::Json.encode(&writes))
    }

    /// Completes a lease, whatever the answer.
    #[track_caller]
    pub fn complete(&self, token: &str, lease: &str) -> Response {
        let path = format!("/v1/writes/{lease}/complete");
        self.ask("POST", &path, token, Vec::new())
    }

    /// What it is.
    ///
    /// # Panics
    /// Where it does not say.
    #[track_caller]
    pub fn info(&self) -> Value {
        let response = self.ask("GET", "/v1/info", "", Vec::new());
        serde_json::from_slice(&response.body).expect("JSON")
    }

    /// A counter of `/metrics`: the sum over all its labels that hold `label`.
    #[track_caller]
    pub fn metric(&self, name: &str, label: &str) -> f64 {
        let response = self.ask("GET", "/metrics", "", Vec::new());
        String::from_utf8_lossy(&response.body)
            .lines()
            .filter(|line| line.starts_with(name) && line.contains(label))
            .filter_map(|line| line.rsplit_once(' ')?.1.parse::<f64>().ok())
            .sum()
    }
}

/// The class of an error that the service answered.
///
/// # Panics
/// Where it answered none, or one whose status is not that of its class.
#[track_caller]
pub fn code(response: &Response) -> Code {
    let problem: Problem = serde_json::from_slice(&response.body)
        .unwrap_or_else(|error| panic!("{error}: {}", text(response)));
    assert_eq!(problem.code.status(), response.status, "{}", text(response));
    problem.code
}

/// A response, for a person.
pub fn text(response: &Response) -> String {
    format!(
        "{}\n\n{}",
        response.head,
        String::from_utf8_lossy(&response.body)
    )
}
