//! `cidbucket serve --dev`: the service, with an S3 server to develop against.

use std::fs;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use cidbucket::presign::Seal;
use cidbucket::s3::xml::CorsRule;
use cidbucket::s3::{CredentialsSource, S3Client, S3Config};
use cidbucket_access::{
    Algorithm, Authorizer, Capability, Claims, Operation, SigningKey, TokenAuthorizer,
};
use cidbucket_dev_s3::{DevS3, StartError};
use cidbucket_service::{Conditions, Enforced, Server, ServiceBuilder};
use data_encoding::BASE32_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::json;

use super::options::{Resolved, SealChoice};
use super::rpc::Opened;
use super::start;
use crate::env::Env;
use crate::failure::{Exit, Failure, Outcome};
use crate::interrupt::interrupted;
use crate::session::Session;
use crate::shell::quote;

/// Port of the S3 server unless told otherwise.
const S3_PORT: u16 = 9753;
/// How long the token is good, in seconds.
const TOKEN_LIFE: u64 = 30 * 24 * 60 * 60;

/// What only `--dev` takes.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "With --dev")]
pub(super) struct Dev {
    /// Folder for data and keys [default: $XDG_DATA_HOME/cidbucket/dev]
    #[arg(long, value_name = "DIR", requires = "dev")]
    data_dir: Option<PathBuf>,
    /// Address of the S3 server [default: 127.0.0.1:9753; a free port where --listen takes one]
    #[arg(long, value_name = "ADDR", requires = "dev")]
    s3_listen: Option<SocketAddr>,
    /// Bucket, made if it is not there
    #[arg(long, value_name = "NAME", default_value = "blocks")]
    bucket: String,
}

pub(super) async fn run(args: Dev, options: Resolved, session: &mut Session<'_>) -> Outcome {
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
    let listen = options.listen.unwrap_or(start::USUAL);
    let s3_listen = args.s3_listen.unwrap_or_else(|| {
        let port = if listen.port() == 0 { 0 } else { S3_PORT };
        SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port)
    });
    let s3 = DevS3::builder()
        .data_dir(data_dir.join("s3"))
        .addr(s3_listen)
        .credentials(&keys.access_key, &keys.secret_key)
        .bucket(&args.bucket)
        .start()
        .await
        .map_err(|error| not_started(&error))?;
    if !listen.ip().is_loopback() || !s3_listen.ip().is_loopback() {
        session
            .note("warning: others can reach this address, and this server is not made for that");
    }
    let served = serve(&s3, &args.bucket, &data_dir, options).await;
    let (server, rpc, token) = match served {
        Ok(served) => served,
        Err(stop) => {
            s3.shutdown().await;
            return Err(stop);
        }
    };
    let shown = Shown {
        s3: &s3,
        bucket: &args.bucket,
        data_dir: &data_dir,
        service: server.url(),
        rpc: rpc.as_ref().map(|rpc| format!("http://{}", rpc.address())),
        token,
    };
    shown.announce(session)?;
    start::run_until(stopped, server, rpc).await;
    session.note("stopping; what was stored stays");
    s3.shutdown().await;
    Ok(())
}

/// The service over the embedded server's bucket, and a token for it.
async fn serve(
    s3: &DevS3,
    bucket: &str,
    data_dir: &Path,
    mut options: Resolved,
) -> Outcome<(Server, Option<cidbucket_kubo::Server>, String)> {
    let mut config = S3Config::from_url(&store_url(s3, bucket), &cidbucket::s3::Env::empty())?;
    config.credentials = CredentialsSource::Static(cidbucket::presign::Credentials::new(
        s3.access_key(),
        s3.secret_key(),
    ));
    // What the embedded server enforces is known: it is tested in its own crate.
    config.send_checksum = true;
    let enforced = Enforced {
        seal: match options.seal {
            SealChoice::Found => Some(Seal::Checksum),
            SealChoice::Given(seal) => Some(seal),
            SealChoice::None => None,
        },
        conditions: Conditions::ALL,
        conditional_copy: true,
    };
    let client = S3Client::new(config)?;
    if client.get_bucket_cors().await?.is_empty() {
        let anywhere = CorsRule::for_grants(vec!["*".to_owned()]);
        client.put_bucket_cors(&[anywhere]).await?;
    }
    let (authorizer, token) = token(data_dir, &options)?;
    let cache = options.cache.unwrap_or(start::CACHE);
    let rpc = match options.rpc.take() {
        None => None,
        Some(rpc) => {
            let opened = Opened::bucket(&client, enforced.conditions, cache);
            Some(rpc.listen(opened).await?)
        }
    };
    let builder = ServiceBuilder::bucket(client, enforced).cache(cache);
    let server = start::listen(builder, Some(authorizer), options).await?;
    Ok((server, rpc, token))
}

/// Whoever verifies tokens, and a token that may do everything. It is good for a month.
fn token(data_dir: &Path, options: &Resolved) -> Outcome<(Arc<dyn Authorizer>, String)> {
    if let Some(tokens) = &options.tokens {
        // Whose keys they are issues the tokens.
        return Ok((start::authorizer(tokens)?, String::new()));
    }
    let path = data_dir.join("token-key.json");
    let failed = |error: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Other,
            "io",
            format!("cannot keep a token key: {error}"),
        )
    };
    let mut random = [0; 32];
    getrandom::fill(&mut random).map_err(|error| failed(&error))?;
    let key = SigningKey::load_or_create(&path, Algorithm::Hs256, &random)
        .map_err(|error| failed(&error))?;
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let mut capability = Capability::new("dev", "dev", Operation::ALL.into_iter().collect());
    capability.expires = Some(now.as_secs() + TOKEN_LIFE);
    let token = Claims::new(capability)
        .issue(&key)
        .map_err(|error| failed(&error))?;
    let verifying = key.verifying().map_err(|error| failed(&error))?;
    Ok((Arc::new(TokenAuthorizer::new(verifying)), token))
}

impl Dev {
    /// Complains about what has a meaning with `--dev` only.
    pub(super) fn refuse_without_dev(&self) -> Outcome {
        if self.bucket == "blocks" {
            return Ok(());
        }
        Err(Failure::usage("--bucket goes with --dev")
            .with_hint("a bucket of your own is --store s3://BUCKET")
            .into())
    }
}

/// What is told when all runs.
struct Shown<'a> {
    s3: &'a DevS3,
    bucket: &'a str,
    data_dir: &'a Path,
    service: String,
    rpc: Option<String>,
    token: String,
}

impl Shown<'_> {
    fn announce(&self, session: &mut Session<'_>) -> Outcome {
        let Self {
            s3,
            bucket,
            data_dir,
            service,
            rpc,
            token,
        } = self;
        let store = store_url(s3, bucket);
        if session.json {
            let mut line = json!({
                "store": store,
                "endpoint": s3.endpoint(),
                "bucket": bucket,
                "region": s3.region(),
                "access_key": s3.access_key(),
                "secret_key": s3.secret_key(),
                "service": service,
                "token": token,
            });
            if let Some(rpc) = rpc {
                line["rpc"] = rpc.as_str().into();
            }
            session.json_line(&line)?;
            return session.flush();
        }
        let program = program(session.env);
        // A token of base64url and dots needs no escape; there is none where keys of others verify.
        let page = match token.as_str() {
            "" => format!("{service}/"),
            token => format!("{service}/#token={token}"),
        };
        session.line(format_args!(
            "S3 for development at {}, data in {}\n\
             Direct-access service at {service}\n\
             Not for production. Ctrl-C stops both; the data and the keys stay.\n\
             \n\
             In a browser, with a token for the service, which is not to be passed on:\n\
             \n  \
               {page}\n\
             \n\
             In another shell, with the keys of the bucket:\n\
             \n  \
               export CIDBUCKET_STORE={}\n  \
               export AWS_ACCESS_KEY_ID={}\n  \
               export AWS_SECRET_ACCESS_KEY={}\n\
             \n  \
               cid=$(echo 'hello world' | {program} put)\n  \
               curl \"$({program} presign get $cid)\"\n  \
               {program} doctor\n\
             \n\
             Or with a token for the service, which signs; the bytes go to S3 all the same:\n\
             \n  \
               export CIDBUCKET_STORE={service}\n  \
               export CIDBUCKET_TOKEN={}\n\
             \n  \
               cid=$(echo 'hello world' | {program} put)\n  \
               curl -H \"authorization: Bearer $CIDBUCKET_TOKEN\" {service}/v1/blocks/$cid\n  \
               curl {service}/v1/info",
            s3.endpoint(),
            data_dir.display(),
            quote(&store),
            quote(s3.access_key()),
            quote(s3.secret_key()),
            quote(token),
        ))?;
        if let Some(rpc) = rpc {
            session.line(format_args!(
                "\nKubo's RPC, for `ipfs --api` and the like:\n\n  {rpc}/api/v0"
            ))?;
        }
        session.flush()
    }
}

fn store_url(s3: &DevS3, bucket: &str) -> String {
    let (endpoint, region) = (s3.endpoint(), s3.region());
    format!("s3://{bucket}?endpoint={endpoint}&region={region}&style=path")
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
