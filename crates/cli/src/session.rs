//! What every command is given: the streams, the settings, the store.

use std::ffi::OsString;
use std::fmt;
use std::io::{self, BufRead, BufReader, Write};
use std::sync::Arc;

use cidbucket::{Blockstore, Location};
use clap::builder::styling::{AnsiColor, Style};
use clap::{ColorChoice, CommandFactory, FromArgMatches};
use indicatif::ProgressBar;
use serde_json::Value;
use tracing_subscriber::EnvFilter;

use crate::args::{Cli, Command};
use crate::config::Config;
use crate::env::Env;
use crate::failure::{Exit, Failure, Outcome, Stop};
use crate::progress;
use crate::seal_cache;
use crate::streams::Io;
use crate::styling::{Styling, styled};

type Opened = Outcome<Arc<dyn Blockstore>>;

/// One run of one command.
#[derive(Debug)]
pub(crate) struct Session<'a> {
    pub(crate) io: &'a mut Io,
    pub(crate) env: &'a Env,
    /// Results and errors as JSON.
    pub(crate) json: bool,
    quiet: bool,
    styling: Styling,
    store: Option<String>,
    config: Config,
    /// The code of the first error that did not stop the command.
    code: u8,
}

impl<'a> Session<'a> {
    /// Reads the command line, the environment and the configuration file. Where that ends the
    /// run already (`--help`, an error), the answer is the exit code.
    pub(crate) fn start(
        args: &[OsString],
        env: &'a Env,
        io: &'a mut Io,
    ) -> Result<(Self, Command), u8> {
        let mut session = Self {
            // What is typed is not understood yet, but how to say so is.
            json: args.iter().any(|arg| arg == "--json"),
            styling: Styling::new(args, env, io),
            io,
            env,
            quiet: false,
            store: None,
            config: Config::default(),
            code: 0,
        };
        let parsed = Cli::command()
            .color(if session.styling.messages {
                ColorChoice::Always
            } else {
                ColorChoice::Never
            })
            .try_get_matches_from(args)
            .and_then(|matches| Cli::from_arg_matches(&matches));
        let cli = match parsed {
            Ok(cli) => cli,
            Err(error) => return Err(session.not_understood(&error)),
        };
        session.json = cli.global.json;
        session.quiet = cli.global.quiet;
        if let Err(failure) = log_to_stderr(cli.global.verbose, cli.global.quiet, env) {
            return Err(session.end(Err(failure.into())));
        }
        match Config::load(cli.global.config.as_deref(), env) {
            Ok(config) => session.config = config,
            Err(failure) => return Err(session.end(Err(failure.into()))),
        }
        session.store = cli.global.store;
        Ok((session, cli.command))
    }

    /// Reports what is left to report, and answers with the exit code.
    pub(crate) fn end(&mut self, outcome: Outcome) -> u8 {
        let outcome = outcome.and_then(|()| self.io.stdout.flush().map_err(|e| Stop::stdout(&e)));
        match outcome {
            Ok(()) => self.code,
            Err(Stop::Code(code)) => {
                // What is complete is shown; if the reader is gone, that is how it is.
                let _ = self.io.stdout.flush();
                code
            }
            Err(Stop::Failed(failure)) => {
                self.report(&failure);
                self.code
            }
        }
    }

    /// Where the store is: flag, else environment, else configuration file.
    pub(crate) fn location(&self) -> Outcome<Location> {
        let url = self.config.store_url(
            self.store
                .as_deref()
                .or_else(|| self.env.get("CIDBUCKET_STORE")),
        )?;
        Ok(Location::parse_with(&url, &self.env.for_stores())?)
    }

    /// Opens the store.
    pub(crate) fn store(&self) -> impl Future<Output = Opened> + Send + use<> {
        let location = self.location();
        async { Ok(location?.open().await?) }
    }

    /// Opens the store to write to it: a folder that is missing is made.
    pub(crate) fn store_to_fill(&self) -> impl Future<Output = Opened> + Send + use<> {
        let location = self.location().map(|mut location| {
            if let Location::S3 { config, .. } = &mut location {
                seal_cache::send_what_is_checked(config, self.env);
            }
            location
        });
        async { Ok(location?.open_or_create().await?) }
    }

    /// What the configuration file tells `serve` by a name.
    pub(crate) fn serve_setting(&self, name: &str) -> Option<String> {
        self.config.serve(name)
    }

    /// The names by which it tells something.
    pub(crate) fn serve_settings(&self) -> impl Iterator<Item = &str> {
        self.config.serve_names()
    }

    /// Writes a line of results.
    pub(crate) fn line(&mut self, line: impl fmt::Display) -> Outcome {
        writeln!(self.io.stdout, "{line}").map_err(|e| Stop::stdout(&e))
    }

    /// Writes a result as one line of JSON.
    pub(crate) fn json_line(&mut self, value: &Value) -> Outcome {
        self.line(value)
    }

    /// Hands on what was written so far: for readers who act on each line.
    pub(crate) fn flush(&mut self) -> Outcome {
        self.io.stdout.flush().map_err(|e| Stop::stdout(&e))
    }

    /// Shows an error and remembers its exit code; the first one's counts.
    pub(crate) fn report(&mut self, failure: &Failure) {
        if self.code == 0 {
            self.code = failure.exit() as u8;
        }
        // First what was done before it, then the error. Nothing can be done about a standard
        // error that is closed.
        let _ = self.io.stdout.flush();
        if self.json {
            let _ = writeln!(self.io.stderr, "{}", failure.to_json());
            return;
        }
        let error = self.message_style(
            "error:",
            Style::new().bold().fg_color(Some(AnsiColor::Red.into())),
        );
        let _ = writeln!(self.io.stderr, "{error} {}", failure.message());
        if let Some(hint) = failure.hint() {
            let label = self.message_style("hint:", Style::new().bold());
            let _ = writeln!(self.io.stderr, " {label} {hint}");
        }
    }

    /// Says something that is neither result nor error. `--quiet` silences it.
    pub(crate) fn note(&mut self, note: impl fmt::Display) {
        if !self.quiet {
            let _ = writeln!(self.io.stderr, "{note}");
        }
    }

    /// Asks a person, who has to say yes. Where there is none at a terminal, nobody is asked, and
    /// nobody said yes.
    pub(crate) async fn confirm(&mut self, question: &str) -> Outcome<bool> {
        if !(self.io.stdin_is_terminal && self.io.stderr_is_terminal) || self.json {
            return Ok(false);
        }
        self.flush()?;
        let _ = write!(self.io.stderr, "\n{question} [y/N] ");
        let _ = self.io.stderr.flush();
        // On a thread of its own, so that Ctrl-C is heard meanwhile.
        let mut stdin = BufReader::new(self.io.take_stdin());
        let read = tokio::task::spawn_blocking(move || {
            let mut answer = String::new();
            let read = stdin.read_line(&mut answer);
            (stdin.into_inner(), read.map(|_| answer))
        });
        let (stdin, answer) = read
            .await
            .map_err(|error| Failure::io("cannot read the answer", &error.into()))?;
        self.io.stdin = stdin;
        let answer = answer.map_err(|error| Failure::io("cannot read the answer", &error))?;
        let answer = answer.trim().to_ascii_lowercase();
        Ok(answer == "y" || answer == "yes")
    }

    /// Text of a result in a style, where standard output is styled.
    pub(crate) fn result_style(&self, text: &str, style: Style) -> String {
        styled(self.styling.results, text, style)
    }

    /// Text of an error in a style, where standard error is styled.
    fn message_style(&self, text: &str, style: Style) -> String {
        styled(self.styling.messages, text, style)
    }

    /// A progress bar, shown only to a person who sees nothing else move.
    pub(crate) fn bar(&self, what: &'static str, total: Option<u64>) -> ProgressBar {
        progress::bar(self.shows_progress(), what, total)
    }

    fn shows_progress(&self) -> bool {
        self.io.stderr_is_terminal && !self.io.stdout_is_terminal && !self.quiet && !self.json
    }

    /// A progress bar over bytes, of a command whose results do not tell how far it is.
    pub(crate) fn byte_bar(&self, what: &'static str, total: Option<u64>) -> ProgressBar {
        let shown = self.io.stderr_is_terminal && !self.quiet && !self.json;
        progress::byte_bar(shown, what, total)
    }

    /// A progress bar over the bytes that go to standard output: none where they are seen themselves.
    pub(crate) fn bytes_to_stdout(&self, what: &'static str, total: Option<u64>) -> ProgressBar {
        if self.io.stdout_is_terminal {
            return ProgressBar::hidden();
        }
        self.byte_bar(what, total)
    }

    /// Whether the user asked for results and errors alone.
    pub(crate) fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// Shows clap's answer: help and version are results, the rest are errors.
    fn not_understood(&mut self, error: &clap::Error) -> u8 {
        let text = error.render();
        if !error.use_stderr() {
            let written = if self.styling.results {
                write!(self.io.stdout, "{}", text.ansi())
            } else {
                write!(self.io.stdout, "{text}")
            };
            return self.end(written.map_err(|e| Stop::stdout(&e)));
        }
        if self.json {
            let first = text.to_string();
            let first = first.lines().next().unwrap_or_default();
            self.report(&Failure::usage(
                first.strip_prefix("error: ").unwrap_or(first),
            ));
        } else if self.styling.messages {
            let _ = write!(self.io.stderr, "{}", text.ansi());
        } else {
            let _ = write!(self.io.stderr, "{text}");
        }
        Exit::Usage as u8
    }
}

/// Logs go to standard error; `CIDBUCKET_LOG` (a filter such as `cidbucket=debug`) wins over `-v`.
fn log_to_stderr(verbose: u8, quiet: bool, env: &Env) -> Result<(), Failure> {
    let filter = match env.get("CIDBUCKET_LOG") {
        Some(filter) => EnvFilter::try_new(filter).map_err(|error| {
            Failure::usage(format!("CIDBUCKET_LOG is not a log filter: {error}")).with_hint(
                "a filter is a level (info), or levels by target (cidbucket=debug,hyper=warn)",
            )
        })?,
        None => EnvFilter::new(match (quiet, verbose) {
            (true, _) => "off",
            (false, 0) => "warn",
            (false, 1) => "warn,cidbucket=debug",
            (false, 2) => "info,cidbucket=trace",
            (false, _) => "trace",
        }),
    };
    // A second run in one process keeps the first one's log.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(false)
        .try_init();
    Ok(())
}
