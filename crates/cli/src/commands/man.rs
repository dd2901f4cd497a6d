//! `cidbucket man`: the manual pages.

use std::path::PathBuf;

use crate::args;
use crate::failure::{Failure, Outcome, Stop};
use crate::session::Session;

/// Print the manual page, or write all pages into a folder
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket man | man -l -
  cidbucket man ~/.local/share/man/man1")]
pub(crate) struct Args {
    /// A folder for the pages of all commands, such as ~/.local/share/man/man1
    #[arg(value_name = "DIR")]
    folder: Option<PathBuf>,
}

pub(crate) fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let Some(folder) = args.folder else {
        return clap_mangen::Man::new(args::command())
            .render(&mut session.io.stdout)
            .map_err(|e| Stop::stdout(&e));
    };
    std::fs::create_dir_all(&folder)
        .and_then(|()| clap_mangen::generate_to(args::command(), &folder))
        .map_err(|e| Failure::io(format!("cannot write into {}", folder.display()), &e).into())
}
