//! `cidbucket serve`: so far, an S3 server to develop against.

use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use cidbucket_dev_s3::{DevS3, StartError};
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::env::Env;
use crate::failure::{Exit, Failure, Outcome};
use crate::interrupt::interrupted;
use crate::session::Session;
use crate::shell::quote;

/// Run an S3 server for development, with a bucket to try things in
///
/// It keeps its data and its keys in a folder and is reached from this machine only. It is not
/// for production.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  cidbucket serve --dev
  cidbucket serve --dev --data-dir ./dev-s3 --listen 127.0.0.1:9000
  cidbucket serve --dev --json                   one line for scripts, then it runs on")]
pub(crate) struct Args {
    /// Serve S3 for development (the only mode of this version)
    #[arg(long)]
    dev: bool,
    /// Folder for data and keys [default: $XDG_DATA_HOME/cidbucket/dev]
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// Address to listen on; port 0 takes a free one
    #[arg(
        long,
        alias = "addr",
        value_name = "ADDR",
        default_value = "127.0.0.1:9753"
    )]
    listen: SocketAddr,
    /// Bucket, made if it is not there
    #[arg(long, value_name = "NAME", default_value = "blocks")]
    bucket: String,
}

pub(crate) async fn run(args: Args, session: &mut Session<'_>) -> Outcome {
    if !args.dev {
        return Err(
            Failure::usage("this version serves S3 for development only")
                .with_hint("write serve --dev")
                .into(),
        );
    }
    let data_dir = match args.data_dir {
        Some(folder) => folder,
        None => usual_data_dir(session.env)?,
    };
    let keys = Keys::load_or_make(&data_dir).map_err(|error| {
        Failure::io(
            format!("cannot keep keys in {}", data_dir.display()),
            &error,
        )
    })?;
    // Signals count from here on, so that none is missed before the server runs.
    let stopped = interrupted();
    let server = DevS3::builder()
        .data_dir(data_dir.join("s3"))
        .addr(args.listen)
        .credentials(&keys.access_key, &keys.secret_key)
        .bucket(&args.bucket)
        .start()
        .await
        .map_err(|error| not_started(&error))?;
    if !args.listen.ip().is_loopback() {
        session
            .note("warning: others can reach this address, and this server is not made for that");
    }
    announce(session, &server, &args.bucket, &data_dir)?;
    stopped.await;
    session.note("stopping; what was stored stays");
    server.shutdown().await;
    Ok(())
}

fn announce(session: &mut Session<'_>, server: &DevS3, bucket: &str, data_dir: &Path) -> Outcome {
    let (endpoint, region) = (server.endpoint(), server.region());
    let store = format!("s3://{bucket}?endpoint={endpoint}&region={region}&style=path");
    if session.json {
        session.json_line(&json!({
            "store": store,
            "endpoint": endpoint,
            "bucket": bucket,
            "region": region,
            "access_key": server.access_key(),
            "secret_key": server.secret_key(),
        }))?;
        return session.flush();
    }
    let program = program(session.env);
    session.line(format_args!(
        "S3 for development at {endpoint}, data in {}\n\
         Not for production. Ctrl-C stops it; the data and the keys stay.\n\
         \n\
         In another shell:\n\
         \n  \
           export CIDBUCKET_STORE={}\n  \
           export AWS_ACCESS_KEY_ID={}\n  \
           export AWS_SECRET_ACCESS_KEY={}\n\
         \n\
         Then, for example:\n\
         \n  \
           cid=$(echo 'hello world' | {program} put)\n  \
           curl \"$({program} presign get $cid)\"\n  \
           {program} doctor",
        data_dir.display(),
        quote(&store),
        quote(server.access_key()),
        quote(server.secret_key()),
    ))?;
    session.flush()
}

fn not_started(error: &StartError) -> Failure {
    let hint = match error {
        StartError::Listen { source, .. } if source.kind() == io::ErrorKind::AddrInUse => {
            Some("is it running already? --listen 127.0.0.1:0 takes a free port")
        }
        StartError::Data { .. } => Some("is another server running on this folder?"),
        _ => None,
    };
    let mut message = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        message = format!("{message}: {error}");
        cause = error.source();
    }
    let exit = match error {
        StartError::BucketName(_) => Exit::Usage,
        _ => Exit::Other,
    };
    let failure = Failure::new(
        exit,
        if exit == Exit::Usage { "usage" } else { "io" },
        message,
    );
    match hint {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// `cidbucket` where a shell finds it by that name, else the path of the running program.
fn program(env: &Env) -> String {
    let name = "cidbucket";
    let found = env
        .get("PATH")
        .is_some_and(|path| std::env::split_paths(path).any(|dir| dir.join(name).is_file()));
    match std::env::current_exe() {
        Ok(path) if !found => quote(&path.to_string_lossy()),
        _ => name.into(),
    }
}

fn usual_data_dir(env: &Env) -> Result<PathBuf, Failure> {
    let base = match (env.get("XDG_DATA_HOME"), env.get("HOME")) {
        (Some(base), _) => PathBuf::from(base),
        (None, Some(home)) => Path::new(home).join(".local/share"),
        (None, None) => {
            return Err(
                Failure::usage("there is no home folder to keep the data in")
                    .with_hint("give --data-dir DIR"),
            );
        }
    };
    Ok(base.join("cidbucket").join("dev"))
}

/// The server's one pair of keys. They last as long as the data, so that a shell that was set up
/// once works on after a restart.
#[derive(Serialize, Deserialize)]
struct Keys {
    access_key: String,
    secret_key: String,
}

impl Keys {
    fn load_or_make(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let path = folder.join("keys.json");
        match fs::read(&path) {
            // What is wrong is said without quoting the file.
            Ok(text) => serde_json::from_slice(&text).map_err(|_| {
                let message = format!("{} is damaged; remove it to get new keys", path.display());
                io::Error::new(io::ErrorKind::InvalidData, message)
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(folder, &path),
            Err(error) => Err(error),
        }
    }

    fn make(folder: &Path, path: &Path) -> io::Result<Self> {
        let mut random = [0; 36];
        getrandom::fill(&mut random).map_err(io::Error::other)?;
        let keys = Self {
            access_key: format!("DEV{}", BASE32_NOPAD.encode(&random[..10])),
            secret_key: BASE32_NOPAD.encode(&random[10..]),
        };
        let mut file = tempfile::Builder::new()
            .prefix(".keys-")
            .tempfile_in(folder)?;
        file.write_all(&serde_json::to_vec_pretty(&keys)?)?;
        file.as_file().sync_all()?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(keys),
            // Another process was faster: its keys are the folder's.
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                Self::load_or_make(folder)
            }
            Err(error) => Err(error.error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_last_and_are_private() {
        let folder = tempfile::tempdir().unwrap();
        let first = Keys::load_or_make(folder.path()).unwrap();
        let again = Keys::load_or_make(folder.path()).unwrap();
        assert_eq!(first.access_key, again.access_key);
        assert_eq!(first.secret_key, again.secret_key);
        assert!(first.secret_key.len() >= 40);
        let other = Keys::load_or_make(&folder.path().join("other")).unwrap();
        assert_ne!(first.secret_key, other.secret_key);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(folder.path().join("keys.json"))
                .unwrap()
                .permissions()
                .mode();
            assert_eq!(mode & 0o077, 0);
        }
    }

    #[test]
    fn damaged_keys_are_not_replaced() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("keys.json"), "{\"access_key\":\"canary").unwrap();
        let error = Keys::load_or_make(folder.path()).err().unwrap().to_string();
        assert!(
            error.contains("remove it") && !error.contains("canary"),
            "{error}"
        );
    }
}
