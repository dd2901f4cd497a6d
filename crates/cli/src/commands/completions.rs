//! `cidbucket completions`: for the shell.

use clap_complete::Shell;

use crate::args;
use crate::failure::{Outcome, Stop};
use crate::session::Session;

/// Print a shell's completion script
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket completions bash > ~/.local/share/bash-completion/completions/cidbucket
  cidbucket completions zsh > ~/.zfunc/_cidbucket
  cidbucket completions fish > ~/.config/fish/completions/cidbucket.fish")]
pub(crate) struct Args {
    /// Which shell
    shell: Shell,
}

pub(crate) fn run(args: &Args, session: &mut Session<'_>) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut args::command(), "cidbucket", &mut script);
    session
        .io
        .stdout
        .write_all(&script)
        .map_err(|e| Stop::stdout(&e))
}
