//! Starting the service over a store, and running it until it is told to stop.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use cidbucket::s3::{S3Client, S3Config, Verdict};
use cidbucket::{Blockstore, Location};
use cidbucket_access::{Authorizer, KeyError, TokenAuthorizer};
use cidbucket_service::{Enforced, ListenError, Server, Service, ServiceBuilder};
use futures::FutureExt;
use serde_json::json;

use super::options::{Resolved, SealChoice, Tokens};
use super::rpc::Opened;
use crate::failure::{Exit, Failure, Outcome};
use crate::interrupt::interrupted;
use crate::seal_cache;
use crate::session::Session;

/// Where the service listens unless told otherwise.
pub(super) const USUAL: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9754);
/// Memory for hot blocks unless told otherwise, in bytes.
pub(super) const CACHE: usize = 64 << 20;

/// Serves the store that the session names.
pub(super) async fn run(mut options: Resolved, session: &mut Session<'_>) -> Outcome {
    let stopped = interrupted();
    let location = session.location()?;
    let authorizer =
        match &options.tokens {
            Some(tokens) => Some(authorizer(tokens)?),
            // Without tokens the service itself answers nobody, and the RPC all the same.
            None if options.settings.public_reads || options.rpc.is_some() => None,
            None => {
                return Err(Failure::usage("nobody could do anything: no key verifies tokens")
                .with_hint(
                    "make a key with `cidbucket token key` and give it with --token-key, let \
                     anybody read with --public-reads, or answer Kubo's RPC with --rpc",
                )
                .into());
            }
        };
    let store = location.to_string();
    let rpc = options.rpc.take();
    let (builder, opened) = match location {
        Location::S3 { mut config, cache } => {
            let enforced = enforced(&mut config, options.seal, session).await?;
            let client = S3Client::new(*config)?;
            let cache = options.cache.or(cache).unwrap_or(CACHE);
            tokio::spawn(look_at_access(
                client.clone(),
                options.settings.public_reads,
            ));
            let opened = Opened::bucket(&client, enforced.conditions, cache);
            let builder = ServiceBuilder::bucket(client, enforced).cache(cache);
            (builder, rpc.is_some().then_some(opened))
        }
        location => {
            let store: Arc<dyn Blockstore> = location.open_or_create().await?;
            let opened = match rpc {
                None => None,
                Some(_) => Some(Opened::other(&location, Arc::clone(&store))?),
            };
            let cache = options.cache.unwrap_or(CACHE);
            (ServiceBuilder::store(store).cache(cache), opened)
        }
    };
    let rpc = match (rpc, opened) {
        (Some(rpc), Some(opened)) => Some(rpc.listen(opened).await?),
        _ => None,
    };
    let server = listen(builder, authorizer, options).await?;
    announce(&server, rpc.as_ref(), &store, session)?;
    run_until(stopped, server, rpc).await;
    Ok(())
}

/// Serves, by way of both interfaces, until `stopped` comes.
pub(super) async fn run_until(
    stopped: impl Future<Output = u8> + Send,
    server: Server,
    rpc: Option<cidbucket_kubo::Server>,
) {
    let stopped = stopped.map(|_| ()).shared();
    let rpc = async {
        if let Some(rpc) = rpc {
            rpc.run(stopped.clone()).await;
        }
    };
    futures::join!(server.run(stopped.clone()), rpc);
}

/// Makes the service and listens.
pub(super) async fn listen(
    builder: ServiceBuilder,
    authorizer: Option<Arc<dyn Authorizer>>,
    options: Resolved,
) -> Outcome<Server> {
    let mut builder =
        builder
            .settings(options.settings)
            .instance(format!("{}-{}", host(), std::process::id()));
    if let Some(authorizer) = authorizer {
        builder = builder.authorizer(authorizer);
    }
    let service: Service = builder.build()?;
    let address = options.listen.unwrap_or(USUAL);
    let secure = options.tls.is_some();
    let listening = Server::bind(service, address, options.bounds, options.tls);
    let server = listening.await.map_err(|error| not_listening(&error))?;
    if !secure && !server.address().ip().is_loopback() {
        tracing::warn!(
            "tokens and grants go over this address in the clear: give --tls-cert and --tls-key, or \
             put a proxy with TLS before it that nobody can pass by"
        );
    }
    Ok(server)
}

fn not_listening(error: &ListenError) -> Failure {
    let (exit, class) = match error {
        ListenError::Tls(_) => (Exit::Usage, "usage"),
        _ => (Exit::Other, "io"),
    };
    let failure = Failure::new(exit, class, error.to_string());
    match error {
        ListenError::Address { source, .. } if source.kind() == std::io::ErrorKind::AddrInUse => {
            failure.with_hint("is it running already? --listen 127.0.0.1:0 takes a free port")
        }
        _ => failure,
    }
}

pub(super) fn authorizer(tokens: &Tokens) -> Result<Arc<dyn Authorizer>, Failure> {
    let path = &tokens.keys;
    let opened = TokenAuthorizer::from_file(path, SystemTime::now());
    let mut authorizer = opened.map_err(|error| {
        let failure = Failure::usage(error.to_string())
            .with_hint("`cidbucket token key -o FILE` makes a key");
        match error {
            KeyError::File { .. } => failure, // it names the file
            _ => failure.about(path.display()),
        }
    })?;
    if let Some(name) = &tokens.audience {
        authorizer = authorizer.with_audience(name);
    }
    if let Some(name) = &tokens.issuer {
        authorizer = authorizer.with_issuer(name);
    }
    Ok(Arc::new(authorizer))
}

/// What the bucket enforces: as found not long ago, or by trying.
async fn enforced(
    config: &mut S3Config,
    seal: SealChoice,
    session: &mut Session<'_>,
) -> Outcome<Enforced> {
    let bar = session.bar("finding out what the bucket enforces", None);
    let found = seal_cache::enforced(config, session.env, &bar).await;
    let mut enforced = match (found, seal) {
        (Ok(enforced), _) => enforced,
        (Err(stop), SealChoice::Found) => return Err(stop),
        (Err(_), _) => {
            session.note(
                "warning: what the bucket enforces cannot be found out; only the seal is known",
            );
            Enforced::NOTHING
        }
    };
    match seal {
        SealChoice::Found => {}
        SealChoice::Given(seal) => enforced.seal = Some(seal),
        SealChoice::None => enforced.seal = None,
    }
    seal_cache::send_what_is_checked(config, session.env);
    if config.credentials.is_anonymous() {
        session.note("warning: the store is opened without credentials: nothing can be written");
    } else if enforced.seal.is_none() {
        session.note(
            "warning: this bucket was not seen to check uploads, so all writes go through the \
             service (see `cidbucket doctor`)",
        );
    }
    if !enforced.conditions.create || !enforced.conditions.replace {
        session.note(
            "warning: this bucket does not honour conditional writes: tokens that limit bytes are \
             refused, and a lease may be both completed and expired",
        );
    }
    Ok(enforced)
}

/// Warns where browsers, or the public, cannot reach the bucket.
async fn look_at_access(client: S3Client, public: bool) {
    let origins = ["*".to_owned()];
    let fails = |checks: &[cidbucket::s3::Check]| {
        let failed = checks.iter().find(|check| check.verdict == Verdict::Fail);
        failed.map(|check| check.finding.clone())
    };
    if let Ok(checks) = client.verify_browser_access(&origins).await
        && let Some(finding) = fails(&checks)
    {
        tracing::warn!(
            %finding,
            "web pages cannot use this bucket's grants; `cidbucket doctor --fix-cors` lets them"
        );
    }
    if public
        && let Ok(checks) = client.verify_public_read().await
        && let Some(finding) = fails(&checks)
    {
        tracing::warn!(
            %finding,
            "reads are public here, and not at the bucket; `cidbucket doctor --fix-public-read` \
             makes them so"
        );
    }
}

fn announce(
    server: &Server,
    rpc: Option<&cidbucket_kubo::Server>,
    store: &str,
    session: &mut Session<'_>,
) -> Outcome {
    let url = server.url();
    let rpc = rpc.map(|rpc| format!("http://{}", rpc.address()));
    if session.json {
        let mut line = json!({ "service": url, "store": store });
        if let Some(rpc) = rpc {
            line["rpc"] = rpc.into();
        }
        session.json_line(&line)?;
    } else {
        session.line(format_args!("serving {store} at {url}"))?;
        if let Some(rpc) = rpc {
            session.line(format_args!("Kubo's RPC at {rpc}/api/v0"))?;
        }
    }
    session.flush()
}

fn host() -> String {
    std::env::var("HOSTNAME").unwrap_or_else(|_| "service".into())
}
