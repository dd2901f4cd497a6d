//! The binary in a room of its own: an empty environment, a home and a folder to work in.

use std::ffi::OsStr;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

/// A folder that is home and working directory of every run.
pub(crate) struct Room {
    folder: tempfile::TempDir,
    env: Vec<(String, String)>,
}

impl Room {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
            env: Vec::new(),
        }
    }

    /// A room in which the store is `dir:blocks`.
    pub(crate) fn with_folder_store() -> Self {
        Self::new().env("CIDBUCKET_STORE", "dir:blocks")
    }

    /// Sets an environment variable of every run.
    pub(crate) fn env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, data: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, data).unwrap();
        path
    }

    pub(crate) fn command<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_cidbucket"));
        command
            .args(args)
            .env_clear()
            .env("HOME", self.folder.path())
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.env.iter().map(|(k, v)| (k, v)))
            .current_dir(self.folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// Runs to the end.
    pub(crate) fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Ran {
        Ran(self.command(args).output().unwrap())
    }

    /// Runs to the end with bytes on standard input.
    pub(crate) fn run_with<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        stdin: impl AsRef<[u8]>,
    ) -> Ran {
        let mut child = self.command(args).stdin(Stdio::piped()).spawn().unwrap();
        let stdin = stdin.as_ref().to_vec();
        let mut pipe = child.stdin.take().unwrap();
        // A command that refuses early closes its end; that is its right.
        let writer = std::thread::spawn(move || {
            let _ = pipe.write_all(&stdin);
        });
        let ran = Ran(child.wait_with_output().unwrap());
        writer.join().unwrap();
        ran
    }
}

/// What a run left.
#[derive(Debug)]
pub(crate) struct Ran(pub(crate) Output);

impl Ran {
    /// Fails unless the exit code is `code`.
    #[track_caller]
    pub(crate) fn code(self, code: i32) -> Self {
        assert_eq!(
            self.0.status.code(),
            Some(code),
            "stdout: {}\nstderr: {}",
            self.out(),
            self.err()
        );
        self
    }

    /// Fails unless the command succeeded and said nothing on standard error.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        let ran = self.code(0);
        assert_eq!(ran.err(), "");
        ran
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        &self.0.stdout
    }

    pub(crate) fn out(&self) -> String {
        String::from_utf8_lossy(&self.0.stdout).into_owned()
    }

    pub(crate) fn err(&self) -> String {
        String::from_utf8_lossy(&self.0.stderr).into_owned()
    }

    pub(crate) fn lines(&self) -> Vec<String> {
        self.out().lines().map(Into::into).collect()
    }

    /// Standard output as JSON, one value a line.
    #[track_caller]
    pub(crate) fn json(&self) -> Vec<serde_json::Value> {
        self.out()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
            .collect()
    }

    /// The JSON error on standard error.
    #[track_caller]
    pub(crate) fn json_error(&self) -> serde_json::Value {
        let value: serde_json::Value = serde_json::from_str(self.err().trim_end())
            .unwrap_or_else(|e| panic!("{e}: {}", self.err()));
        value["error"].clone()
    }
}
