//! The command line of cidbucket, as a library: [`run`] takes arguments, environment and streams,
//! and answers with an exit code. The binary `cidbucket` only passes the process's own.
//!
//! - `args`: what can be typed, and its help.
//! - `config`: the configuration file, and which of flag, environment and file wins.
//! - `session`: what every command is given: streams, settings, the store.
//! - `failure`: errors as people and scripts see them; exit codes.
//! - `commands`: one file a command.

// The doc comments of arguments are their help texts, shown as they are.
#![allow(clippy::doc_markdown)]

mod args;
mod block_file;
mod cids;
mod codec;
mod commands;
mod config;
mod content;
mod env;
mod failure;
mod interrupt;
mod pieces;
mod progress;
mod quantity;
mod seal_cache;
mod session;
mod shell;
mod streams;
mod styling;
mod table;
mod trouble;
mod whole_file;

use std::ffi::OsString;

pub use args::command;
pub use env::Env;
pub use streams::Io;

/// Runs one command line and answers with the exit code for the process.
///
/// `args` begins with the program's name, as a process's arguments do. Nothing is read from the
/// process but the current directory and what the S3 credential sources themselves look up.
pub async fn run<A: Into<OsString> + Clone>(
    args: impl IntoIterator<Item = A>,
    env: &Env,
    io: &mut Io,
) -> u8 {
    let args: Vec<OsString> = args.into_iter().map(Into::into).collect();
    match session::Session::start(&args, env, io) {
        Ok((mut session, command)) => {
            let outcome = commands::run(command, &mut session).await;
            session.end(outcome)
        }
        Err(code) => code,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::streams::Captured;

    #[tokio::test]
    async fn a_run_needs_nothing_of_the_process() {
        let captured = Captured::default();
        let env = Env::from_iter([("CIDBUCKET_STORE", "memory:")]);
        let code = run(
            ["cidbucket", "put"],
            &env,
            &mut captured.io("hello world\n"),
        )
        .await;
        assert_eq!((code, captured.stderr().as_str()), (0, ""));
        assert_eq!(
            captured.stdout(),
            "bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4\n"
        );
    }
}
