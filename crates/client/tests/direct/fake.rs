//! A service in this process, as small as can be: it really signs, for a real bucket, and keeps its
//! leases in memory. What it answers can be scripted.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

use cidbucket_blockstore::{Block, Blockstore, Bytes, Cid, Cursor, Error, Multihash, raw_cid};
use cidbucket_client::protocol::{
    Code, Completed, Encoding, Granted, Info, Limits, Link, Listed, Page, Problem, ReadMode, Reads,
    Seal, Write, WriteMode, Writes,
};
use cidbucket_client::{DirectBlockstore, DirectConfig, Token};
use cidbucket_dev_s3::DevS3;
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_presign::{
    Bucket, Credentials, Granter, Method, Policy, Read, Style, Timestamp, Upload,
};
use cidbucket_s3::{CredentialsSource, S3Blockstore, S3Config};
use futures::StreamExt;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use std::sync::Mutex;
use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

pub(crate) const TOKEN: &str = "a.good.token";
const BUCKET: &str = "blocks";

/// What a test sets before the start, and may change later.
#[derive(Clone)]
pub(crate) struct Setting {
    pub(crate) info: Info,
    /// Other hashes than sha2-256 are staged, and not proxied.
    pub(crate) stages: bool,
    pub(crate) if_none_match: bool,
    pub(crate) layout: Layout,
    /// Where grants say that the bucket is.
    pub(crate) endpoint: Option<String>,
}

impl Default for Setting {
    fn default() -> Self {
        let mut info = Info::new("fake", Limits::default());
        info.direct_reads = true;
        info.writes = WriteMode::Direct;
        info.seal = Some(Seal::Checksum);
        Self {
            info,
            stages: true,
            if_none_match: false,
            layout: Layout::Kubo,
            endpoint: None,
        }
    }
}

/// What happens to a request instead of, or beside, its answer.
#[derive(Clone)]
pub(crate) enum Trick {
    /// This problem is the answer.
    Problem(Problem),
    /// The request is carried out, and its answer is lost.
    LoseAnswer,
    /// The grants are an hour old.
    SignInThePast,
    /// The lease is forgotten.
    ForgetLease,
}

pub(crate) struct Fake {
    pub(crate) state: Arc<State>,
    addr: SocketAddr,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Clone)]
struct Lease {
    blocks: Vec<Write>,
    completed: bool,
}

pub(crate) struct State {
    pub(crate) s3: DevS3,
    pub(crate) setting: Mutex<Setting>,
    pub(crate) store: S3Blockstore,
    staging: S3Blockstore,
    leases: Mutex<HashMap<String, Lease>>,
    next_lease: AtomicU64,
    tricks: Mutex<VecDeque<(&'static str, Trick)>>,
    asked: Mutex<BTreeMap<&'static str, Vec<usize>>>,
}

impl Fake {
    pub(crate) async fn start() -> Self {
        Self::with(Setting::default()).await
    }

    pub(crate) async fn with(setting: Setting) -> Self {
        let s3 = DevS3::builder()
            .public_bucket(BUCKET)
            .start()
            .await
            .unwrap();
        let store = |prefix: &str| {
            let bucket = Bucket::new(s3.endpoint(), BUCKET, s3.region(), Style::Path).unwrap();
            let keys = Keys::new(Prefix::new(prefix).unwrap(), setting.layout.clone());
            let mut config = S3Config::new(bucket, keys);
            config.credentials =
                CredentialsSource::Static(Credentials::new(s3.access_key(), s3.secret_key()));
            S3Blockstore::new(config).unwrap()
        };
        let (store, staging) = (store("ipfs"), store("staging"));
        let state = Arc::new(State {
            s3,
            store,
            staging,
            setting: Mutex::new(setting),
            leases: Mutex::default(),
            next_lease: AtomicU64::new(1),
            tricks: Mutex::default(),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let task = tokio::spawn(serve(listener, Arc::clone(&state)));
        Self {
            state,
            addr,
            task: Mutex::new(Some(task)),
        }
    }

    pub(crate) fn config(&self) -> DirectConfig {
        let mut config = DirectConfig::new(&format!("http://{}", self.addr)).unwrap();
        config.token = Some(Token::new(TOKEN).unwrap());
        config.retry.min_delay = std::time::Duration::from_millis(1);
        config
    }

    pub(crate) fn client(&self) -> DirectBlockstore {
        DirectBlockstore::new(self.config()).unwrap()
    }

    /// The next request of this operation meets the trick.
    pub(crate) fn trick(&self, operation: &'static str, trick: Trick) {
        self.state
            .tricks
            .lock()
            .unwrap()
            .push_back((operation, trick));
    }

    pub(crate) fn problem(&self, operation: &'static str, problem: Problem) {
        self.trick(operation, Trick::Problem(problem));
    }

    /// How many requests of this operation came.
    pub(crate) fn asked(&self, operation: &str) -> usize {
        self.sizes(operation).len()
    }

    /// How many blocks each request of this operation was about.
    pub(crate) fn sizes(&self, operation: &str) -> Vec<usize> {
        let asked = self.state.asked.lock().unwrap();
        asked.get(operation).cloned().unwrap_or_default()
    }

    pub(crate) fn set(&self, change: impl FnOnce(&mut Setting)) {
        change(&mut self.state.setting.lock().unwrap());
    }

    pub(crate) fn open_leases(&self) -> usize {
        let leases = self.state.leases.lock().unwrap();
        leases.values().filter(|lease| !lease.completed).count()
    }

    /// Every connection is cut, and new ones are refused.
    pub(crate) async fn stop(&self) {
        let task = self.task.lock().unwrap().take().unwrap();
        task.abort();
        let _ = task.await;
    }

    /// At the same address, with the same leases.
    pub(crate) async fn restart(&self) {
        let listener = TcpListener::bind(self.addr).await.unwrap();
        let task = tokio::spawn(serve(listener, Arc::clone(&self.state)));
        *self.task.lock().unwrap() = Some(task);
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        if let Some(task) = self.task.lock().unwrap().take() {
            task.abort();
        }
    }
}

async fn serve(listener: TcpListener, state: Arc<State>) {
    // They end with this task.
    let mut connections = JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let state = Arc::clone(&state);
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let state = Arc::clone(&state);
                async move { state.answer(request).await }
            });
            let io = TokioIo::new(stream);
            // A lost answer is an error here.
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(io, service)
                .await;
        });
    }
}

type Answer = Result<Response<Full<Bytes>>, Problem>;

/// Ends the connection without an answer.
#[derive(Debug)]
struct Lost;

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("lost")
    }
}

impl std::error::Error for Lost {}

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Lost> {
        let (parts, body) = request.into_parts();
        let Ok(body) = body.collect().await else {
            return Err(Lost);
        };
        let body = body.to_bytes();
        let path = parts.uri.path().to_owned();
        let method = parts.method.as_str();
        let operation = match (method, &*path) {
            ("GET", "/v1/info") => "info",
            ("POST", "/v1/reads") => "reads",
            ("POST", "/v1/writes") => "writes",
            ("POST", _) => "complete",
            ("GET", "/v1/blocks") => "list",
            ("GET", _) => "get",
            ("HEAD", _) => "head",
            ("PUT", _) => "put",
            _ => "delete",
        };
        let trick = {
            let mut tricks = self.tricks.lock().unwrap();
            let at = tricks.iter().position(|(on, _)| *on == operation);
            at.and_then(|at| tricks.remove(at)).map(|(_, trick)| trick)
        };
        let token = parts.headers.get("authorization");
        let known = token.is_some_and(|token| token == &format!("Bearer {TOKEN}"));
        let public = self.setting.lock().unwrap().info.reads == ReadMode::Public
            && matches!(operation, "get" | "head" | "reads");
        let answer = if let Some(Trick::Problem(problem)) = &trick {
            self.note(operation, 0);
            Err(problem.clone())
        } else if !known && !public && operation != "info" {
            self.note(operation, 0);
            Err(Problem::new(Code::Unauthorised, "no"))
        } else {
            let query = parts.uri.query().unwrap_or_default();
            self.carry_out(operation, &path, query, body, trick.as_ref())
                .await
        };
        if matches!(trick, Some(Trick::LoseAnswer)) {
            return Err(Lost);
        }
        Ok(answer.unwrap_or_else(|problem| {
            let mut answer = Response::new(Full::from(Encoding::Json.encode(&problem)));
            *answer.status_mut() = StatusCode::from_u16(problem.code.status()).unwrap();
            let kind = "application/json".parse().unwrap();
            answer.headers_mut().insert("content-type", kind);
            answer
        }))
    }

    fn note(&self, operation: &'static str, blocks: usize) {
        self.asked
            .lock()
            .unwrap()
            .entry(operation)
            .or_default()
            .push(blocks);
    }

    #[expect(clippy::too_many_lines, reason = "one arm an operation")]
    async fn carry_out(
        &self,
        operation: &'static str,
        path: &str,
        query: &str,
        body: Bytes,
        trick: Option<&Trick>,
    ) -> Answer {
        let cid = || -> Result<Cid, Problem> {
            let text = path.trim_start_matches("/v1/blocks/");
            text.parse()
                .map_err(|_| Problem::new(Code::Invalid, "no CID"))
        };
        let now = match trick {
            Some(Trick::SignInThePast) => past(),
            _ => Timestamp::from(SystemTime::now()),
        };
        match operation {
            "info" => {
                self.note(operation, 0);
                let mut info = self.setting.lock().unwrap().info.clone();
                info.layout = Some(self.setting.lock().unwrap().layout.to_string());
                if info.reads == ReadMode::Public {
                    let public = self.granter("ipfs", true);
                    info.public = Some(public.read_batch(&[], &Read::default(), 1, now).unwrap());
                }
                document(&info)
            }
            "reads" => {
                let reads: Reads = decode(&body)?;
                self.note(operation, reads.cids.len());
                let cids: Vec<Cid> = reads.cids.iter().map(|link| link.0).collect();
                let read = Read {
                    head: reads.method == Some(Method::Head),
                    ..Read::default()
                };
                let granter = self.granter("ipfs", false);
                document(&granter.read_batch(&cids, &read, 600, now).unwrap())
            }
            "writes" => {
                let writes: Writes = decode(&body)?;
                self.note(operation, writes.blocks.len());
                document(&self.grant(&writes, now)?)
            }
            "complete" => {
                self.note(operation, 0);
                let lease = path.split('/').nth(3).unwrap_or_default();
                if matches!(trick, Some(Trick::ForgetLease)) {
                    self.leases.lock().unwrap().remove(lease);
                }
                self.complete(lease).await
            }
            "list" => {
                self.note(operation, 0);
                let cursor = query.strip_prefix("cursor=").map(percent_decoded);
                let mut pages = self
                    .store
                    .list(Cursor::new(cursor.unwrap_or_default()))
                    .into_pages();
                let Some(page) = pages.next().await else {
                    return document(&Page {
                        blocks: Vec::new(),
                        foreign: 0,
                        cursor: None,
                    });
                };
                let page = page.map_err(problem)?;
                let more = page.cursor.as_str() != "v1";
                document(&Page {
                    blocks: page
                        .blocks
                        .iter()
                        .map(|b| Listed {
                            cid: Link(raw_cid(*b.cid.hash())),
                            size: b.size,
                        })
                        .collect(),
                    foreign: page.foreign,
                    cursor: more.then(|| page.cursor.to_string()),
                })
            }
            "get" => {
                self.note(operation, 1);
                match self.store.get(&cid()?).await.map_err(problem)? {
                    Some(block) => Ok(Response::new(Full::from(block.into_data()))),
                    None => Err(Problem::new(Code::NotFound, "no such block")),
                }
            }
            "head" => {
                self.note(operation, 1);
                match self.store.size(&cid()?).await.map_err(problem)? {
                    Some(size) => Ok(Response::builder()
                        .header("content-length", size)
                        .body(Full::default())
                        .unwrap()),
                    None => Err(Problem::new(Code::NotFound, "no such block")),
                }
            }
            "put" => {
                self.note(operation, 1);
                let block = Block::new(cid()?, body).map_err(problem)?;
                self.store.put(&block).await.map_err(problem)?;
                no_content()
            }
            _ => {
                self.note(operation, 1);
                self.store.delete(&cid()?).await.map_err(problem)?;
                no_content()
            }
        }
    }

    fn granter(&self, prefix: &str, public: bool) -> Granter {
        let setting = self.setting.lock().unwrap();
        let endpoint = setting.endpoint.clone();
        let endpoint = endpoint.unwrap_or_else(|| self.s3.endpoint().to_owned());
        let bucket = Bucket::new(&endpoint, BUCKET, self.s3.region(), Style::Path).unwrap();
        let keys = Keys::new(Prefix::new(prefix).unwrap(), setting.layout.clone());
        let policy = Policy {
            seal: setting.info.seal,
            if_none_match: setting.if_none_match,
            ..Policy::default()
        };
        if public {
            return Granter::public(bucket, keys, policy).unwrap();
        }
        let credentials = Credentials::new(self.s3.access_key(), self.s3.secret_key());
        Granter::new(bucket, keys, credentials, policy).unwrap()
    }

    fn grant(&self, writes: &Writes, now: Timestamp) -> Result<Granted, Problem> {
        let number = self.next_lease.fetch_add(1, Ordering::Relaxed);
        let mut granted = Granted::new(format!("lease-{number}"), now.unix() + 900);
        let stages = self.setting.lock().unwrap().stages;
        let (mut direct, mut staged) = (Vec::new(), Vec::new());
        for (index, write) in writes.blocks.iter().enumerate() {
            let cid = write.cid.0;
            if cid.hash().code() == 0x12 && cid.hash().size() == 32 {
                direct.push(Upload::new(cid, write.size));
            } else if stages {
                let digest = (write.sha256)
                    .ok_or_else(|| Problem::new(Code::Invalid, "no digest").at(index))?;
                staged.push(Upload::new(staged_cid(digest), write.size));
                granted.staged_blocks.push(index);
            } else {
                granted.proxied.push(index);
            }
        }
        let header = self.setting.lock().unwrap().info.seal == Some(Seal::Header);
        let (to, aside) = (self.granter("ipfs", false), self.granter("staging", false));
        if header {
            let each = |granter: &Granter, uploads: &[Upload]| {
                let grants = uploads.iter().map(|u| granter.write(u, 900, now).unwrap());
                grants.collect::<Vec<_>>()
            };
            granted.direct_grants = each(&to, &direct);
            granted.staged_grants = each(&aside, &staged);
        } else {
            granted.direct = Some(to.write_batch(&direct, 900, now).unwrap());
            granted.staged = Some(aside.write_batch(&staged, 900, now).unwrap());
        }
        let mut leases = self.leases.lock().unwrap();
        let lease = Lease {
            blocks: writes.blocks.clone(),
            completed: false,
        };
        leases.insert(granted.lease.clone(), lease);
        Ok(granted)
    }

    async fn complete(&self, lease: &str) -> Answer {
        let blocks = self.leases.lock().unwrap().get(lease).cloned();
        let Some(Lease { blocks, .. }) = blocks else {
            return Err(Problem::new(Code::NoSuchLease, "no such lease"));
        };
        let mut incomplete = Problem::new(Code::Incomplete, "incomplete");
        for (index, write) in blocks.iter().enumerate() {
            if self.store.has(&write.cid.0).await.map_err(problem)? {
                continue;
            }
            let staged = match write.sha256 {
                Some(digest) => self
                    .staging
                    .get(&staged_cid(digest))
                    .await
                    .map_err(problem)?,
                None => None,
            };
            let Some(staged) = staged else {
                incomplete.missing.push(index);
                continue;
            };
            match Block::new(write.cid.0, staged.into_data()) {
                Ok(block) => self.store.put(&block).await.map_err(problem)?,
                Err(_) => incomplete.wrong.push(index),
            }
        }
        if !incomplete.missing.is_empty() || !incomplete.wrong.is_empty() {
            return Err(incomplete);
        }
        if let Some(lease) = self.leases.lock().unwrap().get_mut(lease) {
            lease.completed = true;
        }
        document(&Completed {
            lease: lease.to_owned(),
            blocks: blocks.len() as u64,
            bytes: blocks.iter().map(|write| write.size).sum(),
        })
    }
}

#[expect(clippy::unnecessary_wraps, reason = "the form that all answers have")]
fn document<T: serde::Serialize>(body: &T) -> Answer {
    Ok(Response::builder()
        .header("content-type", Encoding::DagCbor.media_type())
        .body(Full::from(Encoding::DagCbor.encode(body)))
        .unwrap())
}

#[expect(clippy::unnecessary_wraps, reason = "the form that all answers have")]
fn no_content() -> Answer {
    let answer = Response::builder().status(StatusCode::NO_CONTENT);
    Ok(answer.body(Full::default()).unwrap())
}

fn decode<T: serde::de::DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let decoded = Encoding::DagCbor.decode("request", body);
    decoded.map_err(|error| Problem::new(Code::Invalid, error.to_string()))
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn problem(error: Error) -> Problem {
    let code = match &error {
        Error::Corrupt(_) => Code::Corrupt,
        Error::Invalid(_) => Code::Invalid,
        Error::TooLarge(_) => Code::TooLarge,
        _ => Code::Unavailable,
    };
    Problem::new(code, error.to_string())
}

fn staged_cid(digest: [u8; 32]) -> Cid {
    raw_cid(Multihash::wrap(0x12, &digest).unwrap())
}

fn past() -> Timestamp {
    let now = Timestamp::from(SystemTime::now());
    Timestamp::from_unix(now.unix() - 3600)
}

fn percent_decoded(text: &str) -> String {
    let pair = format!("c={text}");
    let (_, text) = form_urlencoded::parse(pair.as_bytes()).next().unwrap();
    text.into_owned()
}
