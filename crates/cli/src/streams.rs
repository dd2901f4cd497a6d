//! The three standard streams, so that a test can pass its own.

use std::fmt;
use std::io::{self, BufWriter, IsTerminal, Read, Write};

/// Standard input, output and error of a command, and which of them a person looks at.
pub struct Io {
    /// Where `-` is read from, and answers.
    pub stdin: Box<dyn Read + Send>,
    /// Whether `stdin` is a terminal.
    pub stdin_is_terminal: bool,
    /// Results.
    pub stdout: Box<dyn Write + Send>,
    /// Errors, notes and progress.
    pub stderr: Box<dyn Write + Send>,
    /// Whether `stdout` is a terminal.
    pub stdout_is_terminal: bool,
    /// Characters in a line of the terminal that `stdout` is; nothing is wrapped where it is none.
    pub columns: Option<usize>,
    /// Whether `stderr` is a terminal: then it may be coloured and show progress.
    pub stderr_is_terminal: bool,
}

impl Io {
    /// The process's own streams.
    pub fn of_process() -> Self {
        let stdout = io::stdout();
        Self {
            stdin: Box::new(io::stdin()),
            stdin_is_terminal: io::stdin().is_terminal(),
            stdout_is_terminal: stdout.is_terminal(),
            columns: terminal_size::terminal_size_of(&stdout)
                .map(|(terminal_size::Width(columns), _)| columns.into()),
            stdout: Box::new(BufWriter::with_capacity(64 << 10, stdout)),
            stderr_is_terminal: io::stderr().is_terminal(),
            stderr: Box::new(io::stderr()),
        }
    }

    /// Takes standard input, which can be read once.
    pub(crate) fn take_stdin(&mut self) -> Box<dyn Read + Send> {
        std::mem::replace(&mut self.stdin, Box::new(io::empty()))
    }
}

impl fmt::Debug for Io {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Io")
            .field("stdin_is_terminal", &self.stdin_is_terminal)
            .field("stdout_is_terminal", &self.stdout_is_terminal)
            .field("stderr_is_terminal", &self.stderr_is_terminal)
            .finish_non_exhaustive()
    }
}

/// Streams of a test: what is written can be read back.
#[cfg(test)]
#[derive(Debug, Clone, Default)]
pub(crate) struct Captured([std::sync::Arc<std::sync::Mutex<Vec<u8>>>; 2]);

#[cfg(test)]
impl Captured {
    /// Streams that are no terminals, with bytes on standard input.
    pub(crate) fn io(&self, stdin: &'static str) -> Io {
        Io {
            stdin: Box::new(stdin.as_bytes()),
            stdin_is_terminal: false,
            stdout: Box::new(Pipe(self.0[0].clone())),
            stderr: Box::new(Pipe(self.0[1].clone())),
            stdout_is_terminal: false,
            columns: None,
            stderr_is_terminal: false,
        }
    }

    pub(crate) fn stdout(&self) -> String {
        String::from_utf8(self.0[0].lock().unwrap().clone()).unwrap()
    }

    pub(crate) fn stderr(&self) -> String {
        String::from_utf8(self.0[1].lock().unwrap().clone()).unwrap()
    }
}

#[cfg(test)]
struct Pipe(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

#[cfg(test)]
impl Write for Pipe {
    fn write(&mut self, data: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(data)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
