//! `cidbucket serve`: the direct-access service, and an S3 server to develop against.

mod dev;
mod options;
mod rpc;
mod start;

use crate::failure::Outcome;
use crate::session::Session;

/// Run the direct-access service: clients read and write blocks at S3 themselves
///
/// It says who may, and signs; the bytes go straight between clients and S3. With --dev it brings an
/// S3 server along to try it on, which keeps its data in a folder and is not for production.
///
/// Every option can also stand in the environment (--read-expires as CIDBUCKET_READ_EXPIRES) or in
/// the configuration file (read_expires under [serve]); an option wins over the environment, which
/// wins over the file.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket serve --dev                          a service and its S3, to try
  cidbucket token key -o issuer.json
  cidbucket serve --store s3://my-bucket --token-key issuer.json
  cidbucket serve --store s3://my-bucket --jwks keys.json --listen 0.0.0.0:443 \\
    --tls-cert chain.pem --tls-key key.pem
  cidbucket serve --store dir:blocks --rpc       Kubo's RPC over a folder, at 127.0.0.1:5001
  cidbucket serve --dev --json                   one line for scripts, then it runs on")]
pub(crate) struct Args {
    /// Bring an S3 server for development, and serve its bucket
    #[arg(long)]
    dev: bool,
    #[command(flatten)]
    own: dev::Dev,
    #[command(flatten)]
    options: options::Options,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    let options = args.options.resolve(session)?;
    if args.dev {
        return dev::run(args.own, options, session).await;
    }
    args.own.refuse_without_dev()?;
    start::run(options, session).await
}
