//! The binary `cidbucket`, run to its end.

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use serde_json::Value;
use tempfile::TempDir;

/// A way to call the binary: its environment, and arguments that every call begins with.
///
/// Nothing of the caller's environment is passed on but `PATH`, so neither the machine's AWS
/// settings nor a configuration file in its home change a test.
#[derive(Debug, Clone)]
pub struct Cidbucket {
    home: Arc<TempDir>,
    env: Vec<(String, String)>,
}

impl Cidbucket {
    /// The binary with no store and no keys.
    ///
    /// # Panics
    /// Where no temporary folder can be made.
    pub fn new() -> Self {
        Self {
            home: Arc::new(tempfile::tempdir().expect("a temporary folder")),
            env: Vec::new(),
        }
    }

    /// The path of the binary: `CIDBUCKET_BIN` where that is set, else the one built with the tests.
    ///
    /// # Panics
    /// Where there is no such file.
    pub fn path() -> PathBuf {
        let path = std::env::var_os("CIDBUCKET_BIN").map_or_else(
            || {
                // target/PROFILE/deps/TEST-HASH, and the binary two steps up.
                let test = std::env::current_exe().expect("the test's own path");
                let profile = test.ancestors().nth(2).expect("a folder for the profile");
                profile.join(format!(
                    "cidbucket-under-test{}",
                    std::env::consts::EXE_SUFFIX
                ))
            },
            PathBuf::from,
        );
        assert!(path.is_file(), "no binary at {}", path.display());
        path
    }

    /// With one more environment variable, which replaces an earlier one of the name.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl Into<String>) -> Self {
        self.env.retain(|(known, _)| known != name);
        self.env.push((name.to_owned(), value.into()));
        self
    }

    /// A command with this environment, not yet started.
    pub fn command(&self) -> Command {
        let mut command = Command::new(Self::path());
        command
            .env_clear()
            .envs(std::env::var_os("PATH").map(|path| ("PATH", path)))
            .env("HOME", self.home.path())
            .env("XDG_CONFIG_HOME", self.home.path())
            .env("XDG_CACHE_HOME", self.home.path())
            // No test may ask the cloud's metadata service for keys.
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .current_dir(self.home.path());
        command
    }

    /// Runs it without standard input.
    pub fn run<A: AsRef<OsStr>>(&self, args: impl IntoIterator<Item = A>) -> Finished {
        self.run_with(args, b"")
    }

    /// Runs it with `input` on standard input.
    ///
    /// # Panics
    /// Where it cannot be started.
    pub fn run_with<A: AsRef<OsStr>>(
        &self,
        args: impl IntoIterator<Item = A>,
        input: &[u8],
    ) -> Finished {
        let mut command = self.command();
        command.args(args);
        Finished::of(command, input)
    }
}

impl Default for Cidbucket {
    fn default() -> Self {
        Self::new()
    }
}

/// What a finished process left.
pub struct Finished {
    line: String,
    /// Exit code; `None` where a signal ended it.
    pub code: Option<i32>,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error, as text.
    pub stderr: String,
}

impl Finished {
    pub(crate) fn of(mut command: Command, input: &[u8]) -> Self {
        let line = format!("{command:?}");
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        let mut stdin = child.stdin.take().expect("a pipe");
        let input = input.to_vec();
        // A writer of its own: a full pipe on one side must not block the other.
        let writer = std::thread::spawn(move || stdin.write_all(&input));
        let output = child
            .wait_with_output()
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        match writer.join().expect("the writer does not panic") {
            // It need not read what it was given.
            Err(error) if error.kind() != io::ErrorKind::BrokenPipe => panic!("{line}: {error}"),
            _ => {}
        }
        Self {
            line,
            code: output.status.code(),
            stdout: output.stdout,
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Asserts success.
    ///
    /// # Panics
    /// Where the process failed; the message has all it printed.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "an assertion may be all a test wants"
    )]
    #[track_caller]
    pub fn ok(self) -> Self {
        self.failed_with(0)
    }

    /// Asserts the exit code.
    ///
    /// # Panics
    /// Where it was another; the message has all the process printed.
    #[expect(
        clippy::return_self_not_must_use,
        reason = "an assertion may be all a test wants"
    )]
    #[track_caller]
    pub fn failed_with(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{self:?}");
        self
    }

    /// Standard output as text.
    ///
    /// # Panics
    /// Where it is not UTF-8.
    #[track_caller]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// Standard output as lines.
    #[track_caller]
    pub fn lines(&self) -> Vec<&str> {
        self.text().lines().collect()
    }

    /// Standard output as one JSON value.
    ///
    /// # Panics
    /// Where it is not one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

impl fmt::Debug for Finished {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}\nexit code {:?}\nstdout: {}\nstderr: {}",
            self.line,
            self.code,
            String::from_utf8_lossy(&self.stdout),
            self.stderr
        )
    }
}
