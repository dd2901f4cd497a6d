//! What `serve` is told: by options, the environment and the configuration file.

use std::collections::HashSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use cidbucket::presign::Seal;
use cidbucket::{Cid, Multihash};
use cidbucket_service::{Bounds, GatewaySettings, Settings, Tls, Verify};
use clap::Args as _;

use super::rpc::{Rpc, RpcOptions};
use crate::failure::Failure;
use crate::quantity::{parse_duration, parse_size};
use crate::session::Session;

/// As typed: what is not typed may still be said elsewhere.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Address of the service; port 0 takes a free one [default: 127.0.0.1:9754]
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Key that verifies tokens, as `token key` makes it
    #[arg(long, value_name = "FILE")]
    token_key: Option<String>,
    /// Set of keys that verify tokens; read again when it changes
    #[arg(long, value_name = "FILE", conflicts_with = "token_key")]
    jwks: Option<String>,
    /// Name of the service that tokens must be for (`aud`)
    #[arg(long, value_name = "NAME")]
    audience: Option<String>,
    /// Issuer that tokens must be from (`iss`)
    #[arg(long, value_name = "NAME")]
    issuer: Option<String>,
    /// Let anybody read the shared blocks, without a token
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    public_reads: Option<String>,
    /// Certificate chain (PEM): serve HTTPS, and HTTP/2; read again when it changes
    #[arg(long, value_name = "FILE")]
    tls_cert: Option<String>,
    /// Private key of the certificate (PEM)
    #[arg(long, value_name = "FILE")]
    tls_key: Option<String>,
    /// Seal of write grants instead of the one found by trying: checksum, payload-hash, header, none
    #[arg(long, value_name = "NAME")]
    seal: Option<String>,
    /// What a completion checks: trust, list, read [default: trust]
    #[arg(long, value_name = "HOW")]
    verify: Option<String>,
    /// Answer writes with "stored already", which asks S3 for each block [default: no]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    answer_stored: Option<String>,
    /// How long read grants live, at most [default: 10m]
    #[arg(long, value_name = "TIME")]
    read_expires: Option<String>,
    /// How long write grants live, at most [default: 15m]
    #[arg(long, value_name = "TIME")]
    write_expires: Option<String>,
    /// Memory for hot blocks that go through the service [default: 64MiB]
    #[arg(long, value_name = "SIZE")]
    cache: Option<String>,
    /// What S3 charges for 1,000 PUTs, in USD, for the metrics [default: 0.005]
    #[arg(long, value_name = "USD")]
    put_price: Option<String>,
    /// What S3 charges for 1,000 GETs, in USD [default: 0.0004]
    #[arg(long, value_name = "USD")]
    get_price: Option<String>,
    #[command(flatten)]
    gateway: GatewayOptions,
    #[command(flatten)]
    limits: Limits,
    #[command(flatten)]
    rpc: RpcOptions,
}

/// The gateway for the same blocks.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "IPFS gateway at /ipfs/")]
struct GatewayOptions {
    /// Serve blocks and CARs to whoever may read [default: true]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    gateway: Option<String>,
    /// Show files and directories there too, without scripts
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    gateway_files: Option<String>,
    /// Show files and directories at {cid}.ipfs.HOST, each CID with an origin of its own
    #[arg(long, value_name = "HOST")]
    gateway_host: Option<String>,
    /// File of CIDs that the gateway is not to serve (410), one a line
    #[arg(long, value_name = "FILE")]
    gateway_deny: Option<String>,
    /// Send whoever gets a block to S3 (307); Kubo then reads nothing
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    gateway_redirect: Option<String>,
}

/// What clients may take of the service.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Limits")]
struct Limits {
    /// Largest block [default: 2MiB]
    #[arg(long, value_name = "SIZE")]
    max_block: Option<String>,
    /// Most blocks of one request [default: 65536]
    #[arg(long, value_name = "N")]
    max_blocks: Option<String>,
    /// Largest body of a request for grants [default: 8MiB]
    #[arg(long, value_name = "SIZE")]
    max_body: Option<String>,
    /// Memory for requests under way [default: 256MiB]
    #[arg(long, value_name = "SIZE")]
    memory: Option<String>,
    /// Requests under way at once [default: 1024]
    #[arg(long, value_name = "N")]
    max_requests: Option<String>,
    /// Connections at once [default: 2048]
    #[arg(long, value_name = "N")]
    max_connections: Option<String>,
    /// Largest head of a request [default: 32KiB]
    #[arg(long, value_name = "SIZE")]
    max_head: Option<String>,
    /// How long a request's head may take to come [default: 10s]
    #[arg(long, value_name = "TIME")]
    head_timeout: Option<String>,
    /// How long a request's body may take in any case, and an answer [default: 15s]
    #[arg(long, value_name = "TIME")]
    body_grace: Option<String>,
    /// Bytes a second that have to come beyond that [default: 16KiB]
    #[arg(long, value_name = "SIZE")]
    min_rate: Option<String>,
    /// How long a body or an answer may take at most [default: 5m]
    #[arg(long, value_name = "TIME")]
    body_timeout: Option<String>,
    /// How long a connection without a request is kept [default: 75s]
    #[arg(long, value_name = "TIME")]
    idle_timeout: Option<String>,
    /// How long requests under way may take when the service is stopped [default: 30s]
    #[arg(long, value_name = "TIME")]
    drain: Option<String>,
}

/// What holds.
#[derive(Debug)]
pub(super) struct Resolved {
    /// `None` where nobody said.
    pub(super) listen: Option<SocketAddr>,
    pub(super) tokens: Option<Tokens>,
    pub(super) tls: Option<Tls>,
    pub(super) seal: SealChoice,
    pub(super) cache: Option<usize>,
    pub(super) settings: Settings,
    pub(super) bounds: Bounds,
    pub(super) rpc: Option<Rpc>,
}

/// Whose tokens are accepted.
#[derive(Debug)]
pub(super) struct Tokens {
    pub(super) keys: PathBuf,
    pub(super) audience: Option<String>,
    pub(super) issuer: Option<String>,
}

/// What the bucket is taken to enforce.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SealChoice {
    /// What is found by trying.
    Found,
    /// This.
    Given(Seal),
    /// Nothing, whatever it enforces: all writes go through the service.
    None,
}

/// Sets what was said under the option's own name.
macro_rules! set {
    ($said:ident, $options:ident.$name:ident, $parse:expr => $to:expr) => {
        if let Some(value) = $said.get($options.$name, stringify!($name), $parse)? {
            $to = value;
        }
    };
}

impl Options {
    pub(super) fn resolve(self, session: &Session<'_>) -> Result<Resolved, Failure> {
        let said = Said { session };
        said.check_names()?;
        let mut settings = Settings::default();
        let mut bounds = Bounds::default();

        let tokens = Tokens {
            keys: match said.text(self.token_key, "token_key") {
                Some((path, _)) => path.into(),
                None => match said.text(self.jwks, "jwks") {
                    Some((path, _)) => path.into(),
                    None => PathBuf::new(),
                },
            },
            audience: said.text(self.audience, "audience").map(|(name, _)| name),
            issuer: said.text(self.issuer, "issuer").map(|(name, _)| name),
        };
        let tls = match (
            said.text(self.tls_cert, "tls_cert"),
            said.text(self.tls_key, "tls_key"),
        ) {
            (None, None) => None,
            (Some((certificate, _)), Some((key, _))) => Some(Tls {
                certificate: certificate.into(),
                key: key.into(),
            }),
            _ => return Err(Failure::usage("--tls-cert and --tls-key go together")),
        };

        let mut seal = SealChoice::Found;
        set!(said, self.seal, seal_choice => seal);
        set!(said, self.public_reads, boolean => settings.public_reads);
        set!(said, self.answer_stored, boolean => settings.answer_stored);
        set!(said, self.verify, verify => settings.verify);
        set!(said, self.read_expires, whole_seconds => settings.limits.read_expires);
        set!(said, self.write_expires, whole_seconds => settings.limits.write_expires);
        set!(said, self.put_price, price => settings.prices.put);
        set!(said, self.get_price, price => settings.prices.get);
        settings.gateway = self.gateway.resolve(&said)?;
        self.limits.apply(&said, &mut settings, &mut bounds)?;
        Ok(Resolved {
            listen: said.get(self.listen, "listen", address)?,
            tokens: (!tokens.keys.as_os_str().is_empty()).then_some(tokens),
            tls,
            seal,
            cache: said.get(self.cache, "cache", memory)?,
            settings,
            bounds,
            rpc: self.rpc.resolve(&said)?,
        })
    }
}

impl GatewayOptions {
    fn resolve(self, said: &Said<'_>) -> Result<Option<GatewaySettings>, Failure> {
        let mut on = true;
        let mut settings = GatewaySettings::default();
        set!(said, self.gateway, boolean => on);
        set!(said, self.gateway_files, boolean => settings.files);
        set!(said, self.gateway_redirect, boolean => settings.redirect);
        set!(said, self.gateway_deny, denied => settings.denied);
        settings.host = said.get(self.gateway_host, "gateway_host", host)?;
        Ok(on.then_some(settings))
    }
}

impl Limits {
    fn apply(
        self,
        said: &Said<'_>,
        settings: &mut Settings,
        bounds: &mut Bounds,
    ) -> Result<(), Failure> {
        set!(said, self.max_block, parse_size => settings.limits.max_block);
        set!(said, self.max_blocks, number => settings.limits.max_blocks);
        set!(said, self.max_body, memory => settings.limits.max_body);
        set!(said, self.memory, memory => settings.memory);
        set!(said, self.max_requests, number => settings.max_requests);
        set!(said, self.body_grace, parse_duration => settings.pace.grace);
        set!(said, self.min_rate, rate => settings.pace.rate);
        set!(said, self.body_timeout, parse_duration => settings.pace.total);
        bounds.pace = settings.pace;
        set!(said, self.max_connections, number => bounds.max_connections);
        set!(said, self.max_head, memory => bounds.max_head);
        set!(said, self.head_timeout, parse_duration => bounds.head_timeout);
        set!(said, self.idle_timeout, parse_duration => bounds.idle_timeout);
        set!(said, self.drain, parse_duration => bounds.drain);
        Ok(())
    }
}

/// What was said, and where.
pub(super) struct Said<'a> {
    session: &'a Session<'a>,
}

impl Said<'_> {
    /// A setting as text, and where it stands.
    pub(super) fn text(&self, option: Option<String>, name: &str) -> Option<(String, String)> {
        if let Some(text) = option {
            return Some((text, format!("--{}", name.replace('_', "-"))));
        }
        let variable = format!("CIDBUCKET_{}", name.to_ascii_uppercase());
        if let Some(text) = self.session.env.get(&variable) {
            return Some((text.to_owned(), variable));
        }
        let text = self.session.serve_setting(name)?;
        Some((text, format!("{name} in the configuration file")))
    }

    pub(super) fn get<T>(
        &self,
        option: Option<String>,
        name: &str,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Result<Option<T>, Failure> {
        let Some((text, place)) = self.text(option, name) else {
            return Ok(None);
        };
        parse(&text)
            .map(Some)
            .map_err(|why| Failure::usage(format!("{place}: {why}")))
    }

    /// A misspelt setting must not be passed over.
    fn check_names(&self) -> Result<(), Failure> {
        let options = Options::augment_args(clap::Command::new("serve"));
        let names: Vec<&str> = options
            .get_arguments()
            .map(|arg| arg.get_id().as_str())
            .collect();
        match self
            .session
            .serve_settings()
            .find(|name| !names.contains(name))
        {
            None => Ok(()),
            Some(name) => Err(Failure::usage(format!(
                "the configuration file has no setting serve.{name}"
            ))
            .with_hint(format!("there are {}", names.join(", ")))),
        }
    }
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse()
        .map_err(|_| "give an address with its port, such as 127.0.0.1:9754 or [::1]:9754".into())
}

/// The CIDs of a file. What stands behind a `#` is for people.
fn denied(path: &str) -> Result<HashSet<Multihash>, String> {
    let text = std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?;
    let cids = text.lines().enumerate().filter_map(|(at, line)| {
        let cid = line.split('#').next().unwrap_or_default().trim();
        (!cid.is_empty()).then_some((at, cid))
    });
    cids.map(|(at, cid)| match cid.parse::<Cid>() {
        Ok(cid) => Ok(*cid.hash()),
        Err(_) => Err(format!("{path}: line {} is no CID", at + 1)),
    })
    .collect()
}

fn host(text: &str) -> Result<String, String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.');
    let labels = || text.split('.');
    if text.chars().all(is_name) && labels().all(|label| !label.is_empty()) {
        Ok(text.to_ascii_lowercase())
    } else {
        Err("give the name of a host, such as gateway.example.net, without scheme and port".into())
    }
}

fn boolean(text: &str) -> Result<bool, String> {
    match text {
        "true" | "yes" | "on" | "1" => Ok(true),
        "false" | "no" | "off" | "0" => Ok(false),
        _ => Err("give true or false".into()),
    }
}

fn verify(text: &str) -> Result<Verify, String> {
    [Verify::Trust, Verify::List, Verify::Read]
        .into_iter()
        .find(|verify| verify.name() == text)
        .ok_or_else(|| "give trust, list or read".into())
}

fn seal_choice(text: &str) -> Result<SealChoice, String> {
    match text {
        "none" => Ok(SealChoice::None),
        name => match name.parse::<Seal>() {
            Ok(seal) if !seal.needs_read_back() => Ok(SealChoice::Given(seal)),
            _ => Err("give checksum, payload-hash, header or none".into()),
        },
    }
}

fn whole_seconds(text: &str) -> Result<u32, String> {
    let duration = parse_duration(text)?;
    u32::try_from(duration.as_secs())
        .ok()
        .filter(|seconds| *seconds > 0 && Duration::from_secs((*seconds).into()) == duration)
        .ok_or_else(|| "give whole seconds, at least one".into())
}

fn memory(text: &str) -> Result<usize, String> {
    let bytes = parse_size(text)?;
    usize::try_from(bytes).map_err(|error| error.to_string())
}

fn rate(text: &str) -> Result<u32, String> {
    let bytes = parse_size(text)?;
    u32::try_from(bytes).map_err(|error| error.to_string())
}

fn number(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) | Err(_) => Err("give a number, at least 1".into()),
        Ok(number) => Ok(number),
    }
}

fn price(text: &str) -> Result<f64, String> {
    text.parse()
        .ok()
        .filter(|price: &f64| price.is_finite() && *price >= 0.0)
        .ok_or_else(|| "give an amount in USD, such as 0.005".into())
}
