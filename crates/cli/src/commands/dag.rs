//! `cidbucket dag`: blocks, and the blocks that they link to.

mod stat;

use crate::failure::Outcome;
use crate::session::Session;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Stat(stat::Args),
}

pub(crate) async fn run(command: Command, session: &mut Session<'_>) -> Outcome {
    match command {
        Command::Stat(args) => stat::run(args, session).await,
    }
}
