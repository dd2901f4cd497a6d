//! The commands, one file each.

pub(crate) mod add;
pub(crate) mod bench;
pub(crate) mod cat;
pub(crate) mod completions;
pub(crate) mod dag;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod get;
pub(crate) mod has;
pub(crate) mod import;
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
        Command::Add(args) => until_interrupted(add::run(args, session)).await,
        Command::Put(args) => until_interrupted(put::run(args, session)).await,
        Command::Get(args) => until_interrupted(get::run(args, session)).await,
        Command::Cat(args) => until_interrupted(cat::run(args, session)).await,
        Command::Has(args) => until_interrupted(has::run(args, session)).await,
        Command::Stat(args) => until_interrupted(stat::run(args, session)).await,
        Command::Rm(args) => until_interrupted(rm::run(args, session)).await,
        Command::Ls(args) => ls::run(args, session).await,
        Command::Import(args) => until_interrupted(import::run(args, session)).await,
        Command::Export(args) => until_interrupted(export::run(args, session)).await,
        Command::Dag(command) => until_interrupted(dag::run(command, session)).await,
        Command::Presign(command) => until_interrupted(presign::run(command, session)).await,
        Command::Token(command) => token::run(command, session),
        Command::Doctor(args) => until_interrupted(doctor::run(args, session)).await,
        Command::Serve(args) => serve::run(*args, session).await,
        Command::Bench(args) => bench::run(args, session).await,
        Command::Completions(args) => completions::run(&args, session),
        Command::Man(args) => man::run(args, session),
    }
}
