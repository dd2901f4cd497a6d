//! A process that says in one line of JSON that it is ready, and runs on.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::thread::JoinHandle;

use serde_json::Value;

/// A running process, killed on drop.
#[derive(Debug)]
pub struct Process {
    child: Child,
    ready: Value,
    stdout: Option<JoinHandle<String>>,
    stderr: Option<JoinHandle<String>>,
}

impl Process {
    /// Starts a command and waits until it says that it is ready.
    ///
    /// # Panics
    /// Where it ends, or prints something else, before.
    pub fn start(mut command: Command) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let stderr = read_on(child.stderr.take().expect("a pipe"));
        let mut stdout = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        stdout.read_line(&mut line).expect("a line of UTF-8");
        match serde_json::from_str(&line) {
            Ok(ready) => Self {
                child,
                ready,
                stdout: Some(read_on(stdout)),
                stderr: Some(stderr),
            },
            Err(error) => {
                let _ = child.kill();
                let status = child.wait();
                panic!(
                    "{command:?} printed {line:?} ({error}), {status:?}\n{}",
                    stderr.join().unwrap_or_default()
                )
            }
        }
    }

    /// A field of the line that it printed when it was ready.
    ///
    /// # Panics
    /// Where there is no such field, or it is no text.
    pub fn field(&self, name: &str) -> &str {
        self.ready[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {}", self.ready))
    }

    /// The number of the process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it as a power cut would (SIGKILL), and gives what it had printed after its first line:
    /// standard output, standard error.
    ///
    /// # Panics
    /// Where it has ended by itself already.
    pub fn kill(mut self) -> (String, String) {
        let ended = self.child.try_wait().expect("a child of ours");
        self.child.kill().expect("a child of ours");
        self.child.wait().expect("a child of ours");
        let printed = [self.stdout.take(), self.stderr.take()].map(|reader| {
            reader
                .and_then(|reader| reader.join().ok())
                .unwrap_or_default()
        });
        assert!(
            ended.is_none(),
            "it ended by itself, {ended:?}: {printed:?}"
        );
        printed.into()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Reads a pipe to its end in the background, so that the process never waits for a reader.
fn read_on(mut pipe: impl Read + Send + 'static) -> JoinHandle<String> {
    std::thread::spawn(move || {
        let mut text = Vec::new();
        let _ = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    })
}
