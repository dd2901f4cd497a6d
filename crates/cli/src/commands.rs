//! The commands, one file each.

pub(crate) mod bench;
pub(crate) mod completions;
pub(crate) mod doctor;
pub(crate) mod get;
pub(crate) mod has;
pub(crate) mod ls;
pub(crate) mod man;
pub(crate) mod presign;
pub(crate) mod put;
pub(crate) mod rm;
pub(crate) mod serve;
pub(crate) mod stat;
pub(crate) mod token;

use crate::args::Command;
use crate::failure::Outcome;
use crate::interrupt::until_interrupted;
use crate::session::Session;

/// Runs one command. Those that have something to do when they are interrupted wait for the
/// signal themselves.
pub(crate) async fn run(command: Command, session: &mut Session<'_>) -> Outcome {
    match command {
        Command::Put(args) => until_interrupted(put::run(args, session)).await,
        Command::Get(args) => until_interrupted(get::run(args, session)).await,
        Command::Has(args) => until_interrupted(has::run(args, session)).await,
        Command::Stat(args) => until_interrupted(stat::run(args, session)).await,
        Command::Rm(args) => until_interrupted(rm::run(args, session)).await,
        Command::Ls(args) => ls::run(args, session).await,
        Command::Presign(command) => until_interrupted(presign::run(command, session)).await,
        Command::Token(command) => token::run(command, session),
        Command::Doctor(args) => until_interrupted(doctor::run(args, session)).await,
        Command::Serve(args) => serve::run(*args, session).await,
        Command::Bench(args) => bench::run(args, session).await,
        Command::Completions(args) => completions::run(&args, session),
        Command::Man(args) => man::run(args, session),
    }
}
