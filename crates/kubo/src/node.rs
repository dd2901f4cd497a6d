//! A node: a store with its pins and a name, and what it answers to a request.

use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use cidbucket_blockstore::{Blockstore, Result};
use cidbucket_records::{Control, Peer, Pins, Records};
use futures::FutureExt;
use http::header::{AUTHORIZATION, SERVER};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use tokio::time::Instant;

use crate::block_writer::{BlockWriter, WriteMemory};
use crate::command;
use crate::peer::{PeerId, new_public_key};
use crate::pinner::Pinner;
use crate::wire::answer::{self, Body};
use crate::wire::authorization::Authorizations;
use crate::wire::browser::Origins;
use crate::wire::call::{Call, NoCall, ROOT, decode_path};
use crate::wire::duration::parse_duration;
use crate::wire::emitter::Running;
use crate::wire::failure::Failure;
use crate::wire::request_body::RequestBody;
use crate::wire::upload::{Content, MAX_LINES, Upload};

/// The name of this program and its version.
pub(crate) const AGENT: &str = concat!("cidbucket/", env!("CARGO_PKG_VERSION"));
/// The port that clients expect.
const USUAL_PORT: u16 = 5001;

/// What a node is told.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Settings {
    /// Who may call what. Without, everybody may call everything.
    pub authorizations: Option<Authorizations>,
    /// Origins of pages that may call, beside those of this machine on the interface's port.
    pub origins: Vec<String>,
    /// How long may pass until more of a request's body comes. 60 s.
    pub patience: Duration,
    /// What the store is called, for people.
    pub store_name: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            authorizations: None,
            origins: Vec::new(),
            patience: Duration::from_mins(1),
            store_name: "blocks".into(),
        }
    }
}

/// A node: answers Kubo's RPC over a store. Cloning is cheap.
#[derive(Clone)]
pub struct Node(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<dyn Blockstore>,
    pub(crate) pins: Pins,
    pub(crate) peer: PeerId,
    pub(crate) settings: Settings,
    pub(crate) write_memory: WriteMemory,
    /// Where it listens, and so which pages may call.
    listening: OnceLock<(SocketAddr, Origins)>,
}

impl Node {
    /// A node over a store whose records these are. It reads its name there, and makes one where
    /// there is none.
    ///
    /// # Errors
    /// Where the records cannot be read, or not be written.
    pub async fn new(
        store: Arc<dyn Blockstore>,
        records: Arc<dyn Records>,
        control: Control,
        settings: Settings,
    ) -> Result<Self> {
        let peer = Peer::load_or_create(&*records, &control, new_public_key()?).await?;
        Ok(Self(Arc::new(Inner {
            store,
            pins: Pins::new(records, control),
            peer: PeerId::new(peer.public_key),
            settings,
            write_memory: WriteMemory::new(),
            listening: OnceLock::new(),
        })))
    }

    /// Answers a request.
    pub async fn handle<B>(&self, request: Request<B>) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: fmt::Display,
    {
        let began = Instant::now();
        let (parts, body) = request.into_parts();
        let Some(path) = decode_path(parts.uri.path()) else {
            return answer::text(StatusCode::NOT_FOUND, "404 page not found");
        };
        // A box, or the types of all commands would be part of the caller's.
        let answering = self.answer(&parts, &path, body).boxed();
        let mut answer = answering.await;
        let (_, origins) = self.listening();
        let preflight = Origins::is_preflight(&parts.method, &parts.headers);
        origins.share(&parts.headers, preflight, answer.headers_mut());
        answer
            .headers_mut()
            .insert(SERVER, HeaderValue::from_static(AGENT));
        tracing::debug!(
            method = %parts.method,
            // Without the query: what it holds is nobody's business but the client's.
            path,
            status = answer.status().as_u16(),
            ms = began.elapsed().as_millis(),
            "rpc"
        );
        answer
    }

    async fn answer<B>(&self, parts: &http::request::Parts, path: &str, body: B) -> Response<Body>
    where
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: fmt::Display,
    {
        let below = path.strip_prefix(ROOT).unwrap_or_default();
        if !below.starts_with('/') {
            return answer::text(StatusCode::NOT_FOUND, "404 page not found");
        }
        if let Some(authorizations) = &self.0.settings.authorizations {
            let header = parts.headers.get(AUTHORIZATION);
            if !authorizations.allow(header.map(HeaderValue::as_bytes), path) {
                return answer::text(StatusCode::FORBIDDEN, DENIED);
            }
        }
        match parts.method {
            Method::OPTIONS => return answer::options(),
            Method::POST => {}
            _ => return answer::method_not_allowed(),
        }
        let (_, origins) = self.listening();
        if !origins.permit(&parts.method, &parts.headers) {
            return answer::text(StatusCode::FORBIDDEN, "403 - Forbidden");
        }
        let body = RequestBody::new(body, self.0.settings.patience);
        let query = parts.uri.query().unwrap_or_default();
        let refused = match Call::parse(path, query) {
            Ok(call) => match self.begin(parts, call, &body).await {
                Ok((running, deadline)) => return answer::of(running, body, deadline).await,
                Err(failure) => answer::text(StatusCode::BAD_REQUEST, &failure.message),
            },
            Err(NoCall::NotFound) => answer::text(StatusCode::NOT_FOUND, "404 page not found"),
            Err(NoCall::Group) => answer::failed(&Failure::client(
                "this command can't be called directly. Try one of its subcommands.",
            )),
            Err(NoCall::Bad(failure)) => answer::text(StatusCode::BAD_REQUEST, &failure.message),
        };
        body.drain().await;
        refused
    }

    /// Makes a running command of a call, and says until when it may run.
    async fn begin(
        &self,
        parts: &http::request::Parts,
        mut call: Call,
        body: &RequestBody,
    ) -> std::result::Result<(Running, Option<Instant>), Failure> {
        match call.options.text("encoding") {
            None | Some("json") => {}
            Some(other) => {
                return Err(Failure::client(format!(
                    "invalid encoding: {other}; this node answers in json"
                )));
            }
        }
        let deadline = match call.options.text("timeout") {
            None => None,
            Some(text) => {
                let timeout = parse_duration(text)
                    .ok_or_else(|| Failure::client(format!("invalid timeout: {text:?}")))?;
                Instant::now().checked_add(timeout)
            }
        };
        let mut upload = Upload::open(&parts.headers, body)?;
        if call.reads_lines()
            && let Some(files) = &mut upload
            && let Some(part) = files.next().await?
            && let Content::File(file) = part.content
        {
            let text = file.read(MAX_LINES).await?;
            call.take_lines(&String::from_utf8_lossy(&text));
        }
        call.check(upload.is_some())?;
        let node = self.clone();
        let running = Running::new(|emitter| command::run(node, call, upload, emitter));
        Ok((running, deadline))
    }

    /// Notes where it listens.
    pub(crate) fn listen_on(&self, address: SocketAddr) {
        let origins = Origins::new(address.port(), &self.0.settings.origins);
        let _ = self.0.listening.set((address, origins));
    }

    fn listening(&self) -> &(SocketAddr, Origins) {
        self.0.listening.get_or_init(|| {
            let address = SocketAddr::from(([127, 0, 0, 1], USUAL_PORT));
            (address, Origins::new(USUAL_PORT, &self.0.settings.origins))
        })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.listening().0
    }

    pub(crate) fn store(&self) -> &dyn Blockstore {
        &*self.0.store
    }

    pub(crate) fn pinner(&self) -> Pinner<'_> {
        Pinner {
            store: self.store(),
            pins: &self.0.pins,
        }
    }

    pub(crate) fn writer(&self) -> BlockWriter {
        BlockWriter::new(Arc::clone(&self.0.store), self.0.write_memory.clone())
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }
}

/// What who has no authorization is told.
const DENIED: &str = "Kubo RPC Access Denied: Please provide a valid authorization token as \
                      defined in the API.Authorizations configuration.";

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("peer", &self.0.peer.text())
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}
