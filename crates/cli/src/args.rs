//! What can be typed, and its help.

use std::path::PathBuf;

use clap::{ArgAction, CommandFactory, Parser, Subcommand, ValueEnum};

use crate::commands::{
    add, bench, cat, completions, dag, doctor, export, get, has, import, ls, man, presign, put, rm,
    serve, stat, token,
};

const EXAMPLES: &str = "\
Examples:
  cidbucket serve --dev                          a service and its S3 store, to try
  export CIDBUCKET_STORE='s3://my-bucket?region=eu-central-1'
  cidbucket add photos                           prints CIDs, as ipfs add does
  cidbucket get CID/ -o photos                   the way back
  cidbucket put photo.jpg                        one block; prints the CID
  cidbucket get CID > photo.jpg
  curl -o photo.jpg \"$(cidbucket presign get CID)\"
  cidbucket --store https://HOST put photo.jpg   by way of a service that signs
  cidbucket doctor                               what this bucket is and enforces";

const DETAILS: &str = "\
Store URLs:
  s3://BUCKET[/PREFIX][?endpoint=URL&region=NAME&style=path|virtual&layout=NAME]
  http(s)://HOST[/PATH][?direct=auto|always|never&concurrency=N&ca_file=FILE&token_file=FILE]
                  by way of a service that signs; blocks go straight to S3. The token is in
                  CIDBUCKET_TOKEN, or in a file, never in the URL
  dir:PATH        a folder, as Kubo's blocks/ (flatfs)
  memory:         gone when the command ends
  Credentials for s3:// come from where the AWS tools look: AWS_ACCESS_KEY_ID and
  AWS_SECRET_ACCESS_KEY, ~/.aws profiles, web identity, container, instance.

Settings: a flag wins over the environment, which wins over the configuration file
($XDG_CONFIG_HOME/cidbucket/config.toml):
  store = \"prod\"

  [stores.prod]
  url = \"s3://my-bucket/blocks\"
  region = \"eu-central-1\"

Exit codes: 0 done, 1 other failure, 2 wrong usage or input, 3 block not found, 4 denied,
5 corrupt block, 6 throttled or unavailable, 7 no such bucket or folder, 8 nothing was changed
as nobody confirmed it; 128 and a signal's number where one ended it (130 Ctrl-C, 141 the
reader of a pipe went away).";

/// IPFS blocks in an S3 bucket
///
/// Stores blocks by CID in an S3 bucket (or a folder), reads them back checked, and signs URLs
/// with which others read and write single blocks directly.
#[derive(Debug, Parser)]
#[command(name = "cidbucket", version, max_term_width = 100)]
#[command(after_help = EXAMPLES, after_long_help = format!("{EXAMPLES}\n\n{DETAILS}"))]
#[command(arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Global options")]
pub(crate) struct Global {
    /// The store: a URL, or a name of the configuration file [env: CIDBUCKET_STORE]
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) store: Option<String>,
    /// Configuration file [env: CIDBUCKET_CONFIG]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Print results and errors as JSON, one object a line
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log to standard error; twice for more [env: CIDBUCKET_LOG takes a filter]
    #[arg(short, long, global = true, action = ArgAction::Count, conflicts_with = "quiet")]
    pub(crate) verbose: u8,
    /// No notes, no progress, no log: errors only
    #[arg(short, long, global = true)]
    pub(crate) quiet: bool,
    /// Colours: on a terminal, always, never
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        default_value = "auto",
        hide_possible_values = true
    )]
    pub(crate) color: Color,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    Auto,
    Always,
    Never,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Add(add::Args),
    Put(put::Args),
    Get(get::Args),
    Cat(cat::Args),
    Has(has::Args),
    Stat(stat::Args),
    Rm(rm::Args),
    Ls(ls::Args),
    Import(import::Args),
    Export(export::Args),
    /// Look at DAGs: blocks, and the blocks that they link to
    #[command(
        subcommand,
        after_help = "\
Examples:
  cidbucket dag stat CID"
    )]
    Dag(dag::Command),
    /// Sign URLs with which others read or write single blocks at S3 itself
    #[command(
        subcommand,
        after_help = "\
Examples:
  curl -o photo.jpg \"$(cidbucket presign get CID)\"
  cidbucket presign put photo.jpg | sh"
    )]
    Presign(presign::Command),
    /// Make keys and tokens that say who may do what, and look into tokens
    #[command(
        subcommand,
        after_help = "\
Examples:
  cidbucket token key -o issuer.json > keys.json
  cidbucket token issue --key issuer.json --sub alice --ops read,write
  cidbucket token inspect --key keys.json TOKEN"
    )]
    Token(token::Command),
    Doctor(doctor::Args),
    Serve(Box<serve::Args>),
    Bench(bench::Args),
    Completions(completions::Args),
    Man(man::Args),
}

/// The command line as clap knows it, for completions, man pages and whoever documents it.
pub fn command() -> clap::Command {
    Cli::command()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_consistent() {
        super::command().debug_assert();
    }
}
