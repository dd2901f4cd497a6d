//! `cidbucket token`: keys and tokens for a service, and what is in a token.

mod inspect;
mod issue;
mod key;

use std::io;
use std::path::{Path, PathBuf};

use cidbucket_access::KeyError;

use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Key(key::Args),
    Issue(Box<issue::Args>),
    Inspect(inspect::Args),
}

pub(crate) fn run(command: Command, session: &mut Session<'_>) -> Outcome {
    match command {
        Command::Key(args) => key::run(&args, session),
        Command::Issue(args) => issue::run(*args, session),
        Command::Inspect(args) => inspect::run(&args, session),
    }
}

/// The key file that was named: by `--key`, else by the environment.
fn key_path(flag: Option<PathBuf>, session: &Session<'_>) -> Option<PathBuf> {
    flag.or_else(|| session.env.get("CIDBUCKET_TOKEN_KEY").map(PathBuf::from))
}

fn bad_key(path: &Path, error: &KeyError) -> Failure {
    let message = error.to_string();
    match error {
        KeyError::File { source, .. } => {
            let failure = Failure::new(Exit::Other, "io", message);
            match source.kind() {
                io::ErrorKind::NotFound => {
                    failure.with_hint("`cidbucket token key -o FILE` makes a key")
                }
                io::ErrorKind::AlreadyExists => failure
                    .with_hint("a key is never written over: give another name, or remove it"),
                _ => failure,
            }
        }
        _ => Failure::new(Exit::Usage, "invalid", message).about(path.display()),
    }
}
