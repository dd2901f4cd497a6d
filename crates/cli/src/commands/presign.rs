//! `cidbucket presign`: URLs with which others read or write single blocks at S3 itself.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use cidbucket::Location;
use cidbucket::direct::DirectBlockstore;
use cidbucket::presign::{Error, Grant, Granter, Method, Policy, Read, Seal, Timestamp, Upload};
use cidbucket::s3::S3Config;
use cidbucket::{Block, BoxStream, Cid};
use clap::ValueEnum;
use futures::stream::StreamExt;
use serde_json::json;

use crate::block_file::{Encoding, Source};
use crate::cids::{self, Cids};
use crate::failure::{Exit, Failure, Outcome};
use crate::session::Session;
use crate::shell::quote;
use crate::{quantity, seal_cache};

/// The longest life S3 gives a signed URL, in seconds: 7 days.
const LONGEST: u32 = 604_800;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Command {
    Get(Get),
    Put(Put),
}

/// Sign URLs that read blocks
///
/// Whoever has the URL can read the block until it expires. Nothing is sent to S3, so a block
/// that is not there gets a URL too.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  curl -o photo.jpg \"$(cidbucket presign get CID)\"
  cidbucket presign get CID --expires 12h --format curl
  cidbucket ls | cidbucket presign get - --json")]
pub(crate) struct Get {
    #[command(flatten)]
    cids: Cids,
    /// HTTP method
    #[arg(long, value_name = "METHOD", default_value = "get")]
    method: ReadMethod,
    #[command(flatten)]
    common: Common,
}

/// Sign requests that write blocks, and S3 refuses any other bytes
///
/// The request is bound to the block's SHA-256 and size. How, depends on what this bucket
/// enforces: that is tried out, and kept for six hours; --seal skips the trial. The headers belong
/// to the request, so the usual format is a curl command.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket presign put photo.jpg | sh
  cidbucket presign put photo.jpg --format json
  cidbucket presign put --cid CID --size 5120 --expires 1h")]
pub(crate) struct Put {
    /// Files whose blocks may be written; they are hashed, not sent
    #[arg(
        value_name = "FILE",
        required_unless_present = "cid",
        conflicts_with = "cid"
    )]
    files: Vec<PathBuf>,
    /// A block by its CID, without its bytes at hand
    #[arg(long, value_name = "CID", requires = "size", value_parser = parse_cid)]
    cid: Option<Cid>,
    /// Its exact size
    #[arg(long, value_name = "SIZE", requires = "cid", value_parser = quantity::parse_size)]
    size: Option<u64>,
    /// How the bytes are bound: checksum, payload-hash, header, checksum-md5
    #[arg(long, value_name = "SEAL", value_parser = |s: &str| s.parse::<Seal>())]
    seal: Option<Seal>,
    /// Refuse to write where the block is already (If-None-Match)
    #[arg(long)]
    if_absent: bool,
    #[command(flatten)]
    encoding: Encoding,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// How long it may be used, at most 7d
    #[arg(long, value_name = "TIME", default_value = "15m", value_parser = quantity::parse_duration)]
    expires: Duration,
    /// What to print: url, curl or json
    #[arg(long, value_name = "FORMAT", hide_possible_values = true)]
    format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Format {
    Url,
    Curl,
    Json,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ReadMethod {
    Get,
    Head,
}

impl From<ReadMethod> for Method {
    fn from(method: ReadMethod) -> Self {
        match method {
            ReadMethod::Get => Self::Get,
            ReadMethod::Head => Self::Head,
        }
    }
}

pub(crate) async fn run(command: Command, session: &mut Session<'_>) -> Outcome {
    match command {
        Command::Get(args) => get(args, session).await,
        Command::Put(args) => put(args, session).await,
    }
}

async fn get(args: Get, session: &mut Session<'_>) -> Outcome {
    let (seconds, format) = args.common.resolve(session, Format::Url)?;
    let (mut cids, trouble) = args.cids.open(|| session.io.take_stdin())?;
    let config = match session.location()? {
        Location::Direct { config, .. } => {
            let store = DirectBlockstore::new(*config)?;
            let method = args.method.into();
            Box::pin(get_granted(&store, cids, seconds, method, format, session)).await?;
            return trouble.check();
        }
        location => s3(location)?,
    };
    let granter = cidbucket::granter(&config, policy(None, false)).await?;
    let read = Read {
        head: args.method == ReadMethod::Head,
        ..Read::default()
    };
    while let Some(cid) = cids.next().await {
        let grant = granter.read(&cid, &read, seconds, now());
        show(session, format, &cid, grant, None)?;
    }
    trouble.check()
}

/// How many grants are asked for at once.
const GRANTS: usize = 1000;

/// The same, by grants of a service.
async fn get_granted(
    store: &DirectBlockstore,
    cids: BoxStream<'_, Cid>,
    seconds: u32,
    method: Method,
    format: Format,
    session: &mut Session<'_>,
) -> Outcome {
    let longest = store.info().await?.limits.read_expires;
    if seconds > longest {
        let longest = humantime::format_duration(Duration::from_secs(longest.into()));
        session.note(format_args!(
            "note: this service signs for {longest} at most"
        ));
    }
    let mut chunks = cids.ready_chunks(GRANTS);
    while let Some(cids) = chunks.next().await {
        let grants = store.read_grants(&cids, method, seconds).await?;
        for (cid, grant) in cids.iter().zip(grants) {
            show(session, format, cid, Ok(grant), None)?;
        }
    }
    Ok(())
}

async fn put(args: Put, session: &mut Session<'_>) -> Outcome {
    let (seconds, format) = args.common.resolve(session, Format::Curl)?;
    let sources = Source::all(args.files, || session.io.take_stdin())?;
    let config = s3(session.location()?)?;
    let seal = if args.seal.is_some() {
        args.seal
    } else {
        let bar = session.bar("trying what the bucket enforces", None);
        seal_cache::seal(&config, session.env, &bar).await?
    };
    let granter = cidbucket::granter(&config, policy(seal, args.if_absent)).await?;
    if let (Some(cid), Some(size)) = (args.cid, args.size) {
        let grant = granter.write(&Upload::new(cid, size), seconds, now());
        show(session, format, &cid, grant, None)?;
    }
    for source in sources {
        let path = source.path().to_path_buf();
        match source.read(args.encoding).await {
            Ok(block) => {
                let grant = write(&granter, &block, seal, seconds);
                show(session, format, block.cid(), grant, Some(&path))?;
            }
            Err(failure) => session.report(&failure),
        }
    }
    Ok(())
}

fn write(
    granter: &Granter,
    block: &Block,
    seal: Option<Seal>,
    seconds: u32,
) -> Result<Grant, Error> {
    let mut upload = Upload::new(*block.cid(), block.len() as u64);
    if seal == Some(Seal::ChecksumMd5) {
        use md5::Digest;
        upload.md5 = Some(md5::Md5::digest(block.data()).into());
    }
    granter.write(&upload, seconds, now())
}

impl Common {
    fn resolve(&self, session: &Session<'_>, usual: Format) -> Outcome<(u32, Format)> {
        let seconds = u32::try_from(self.expires.as_secs()).unwrap_or(u32::MAX);
        if !(1..=LONGEST).contains(&seconds) {
            return Err(Failure::usage("--expires must be from 1s to 7d").into());
        }
        let format = match self.format {
            Some(format) => format,
            None if session.json => Format::Json,
            None => usual,
        };
        Ok((seconds, format))
    }
}

fn policy(seal: Option<Seal>, if_none_match: bool) -> Policy {
    Policy {
        max_expires: LONGEST,
        seal,
        if_none_match,
        ..Policy::default()
    }
}

fn s3(location: Location) -> Outcome<S3Config> {
    match location {
        Location::S3 { config, .. } => Ok(*config),
        Location::Direct { .. } => Err(Failure::usage(
            "a service signs writes for its own clients, under a lease that they complete",
        )
        .with_hint("write with `cidbucket put`, or presign with the bucket itself: s3://BUCKET")
        .into()),
        other => Err(Failure::usage(format!("{other} has no URLs to sign"))
            .with_hint("presign works with a store in S3: s3://BUCKET")
            .into()),
    }
}

fn show(
    session: &mut Session<'_>,
    format: Format,
    cid: &Cid,
    grant: Result<Grant, Error>,
    file: Option<&Path>,
) -> Outcome {
    let grant = match grant {
        Ok(grant) => grant,
        Err(error) => {
            session.report(&refused(&error));
            return Ok(());
        }
    };
    match format {
        Format::Url => session.line(&grant.url),
        Format::Curl => session.line(curl(&grant, file)),
        Format::Json => {
            let mut value = json!(grant);
            value["cid"] = json!(cid.to_string());
            session.json_line(&value)
        }
    }
}

/// A command line for a shell. curl sends `content-length` by itself, and it is the file's.
fn curl(grant: &Grant, file: Option<&Path>) -> String {
    let mut line = String::from("curl --silent --show-error --fail-with-body");
    match grant.method {
        Method::Get => {}
        Method::Head => line.push_str(" --head"),
        Method::Put => {
            let file = file.map_or("FILE".into(), |file| quote(&file.to_string_lossy()));
            let _ = write!(line, " --upload-file {file}");
        }
    }
    for (name, value) in &grant.headers {
        if name != "content-length" {
            let _ = write!(line, " --header {}", quote(&format!("{name}: {value}")));
        }
    }
    let _ = write!(line, " {}", quote(&grant.url));
    line
}

fn refused(error: &Error) -> Failure {
    let (exit, class) = match error {
        Error::CredentialsExpired => (Exit::Denied, "denied"),
        Error::NoSeal => (Exit::Other, "unsupported"),
        _ => (Exit::Usage, "invalid"),
    };
    let failure = Failure::new(exit, class, error.to_string());
    match error {
        Error::NoSeal => failure.with_hint("`cidbucket doctor` shows what was tried"),
        Error::NoMd5(_) => failure.with_hint("give the block as FILE, so that its MD5 is known"),
        _ => failure,
    }
}

fn parse_cid(text: &str) -> Result<Cid, String> {
    cids::parse(text).map_err(|failure| failure.message().to_owned())
}

fn now() -> Timestamp {
    SystemTime::now().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curl_command_can_be_pasted() {
        let mut grant = Grant {
            method: Method::Put,
            url: "http://h/b/k?a=1&b=2".into(),
            headers: vec![
                ("content-length".into(), "3".into()),
                ("x-amz-checksum-sha256".into(), "a+b=".into()),
            ],
            expires: None,
        };
        assert_eq!(
            curl(&grant, Some(Path::new("it's.bin"))),
            r"curl --silent --show-error --fail-with-body --upload-file 'it'\''s.bin' --header 'x-amz-checksum-sha256: a+b=' 'http://h/b/k?a=1&b=2'"
        );
        grant.headers.clear();
        grant.method = Method::Head;
        assert_eq!(
            curl(&grant, None),
            "curl --silent --show-error --fail-with-body --head 'http://h/b/k?a=1&b=2'"
        );
    }
}
