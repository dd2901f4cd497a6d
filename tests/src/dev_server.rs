//! A running `cidbucket serve --dev`.

use std::ops::Deref;
use std::path::Path;

use crate::Cidbucket;
use crate::process::Process;

/// The embedded S3 server in a process of its own, killed on drop.
///
/// Its line when it is ready has `store`, `endpoint`, `bucket`, `region`, `access_key` and
/// `secret_key`.
#[derive(Debug)]
pub struct DevServer(Process);

impl DevServer {
    /// Starts it over `data_dir` on a free port, with further arguments, and waits until it is ready.
    ///
    /// # Panics
    /// Where it ends, or prints something else, before it says that it is ready.
    pub fn start(data_dir: &Path, binary: &Cidbucket, args: &[&str]) -> Self {
        let mut command = binary.command();
        command
            .args([
                "serve",
                "--dev",
                "--json",
                "--listen",
                "127.0.0.1:0",
                "--data-dir",
            ])
            .arg(data_dir)
            .args(args);
        Self(Process::start(command))
    }

    /// As [`Process::kill`].
    pub fn kill(self) -> (String, String) {
        self.0.kill()
    }
}

impl Deref for DevServer {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0
    }
}
