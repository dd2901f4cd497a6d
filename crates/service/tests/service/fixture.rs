//! A service, its bucket, and what to ask them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_access::{Authorizer, Capability, Flaw, Operation, Operations, Refused, Tenant};
use cidbucket_blockstore::{Block, Blockstore, Hash};
use cidbucket_dev_s3::DevS3;
use cidbucket_direct::{Code, Encoding, Grant, Granted, Problem, Reads, Way, Write, Writes};
use cidbucket_presign::{Batch, Credentials, Method as GrantMethod, Seal, Upload};
use cidbucket_records::sha256_cid;
use cidbucket_s3::{CredentialsSource, Env, S3Blockstore, S3Client, S3Config};
use cidbucket_service::{Conditions, Enforced, Service, ServiceBuilder, Settings};
use http::{HeaderMap, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use parking_lot::Mutex;

pub(crate) const ENFORCED: Enforced = Enforced {
    seal: Some(Seal::Checksum),
    conditions: Conditions::ALL,
    conditional_copy: true,
};

/// Tokens by their text.
#[derive(Debug, Default)]
pub(crate) struct Tokens(Mutex<HashMap<String, Arc<Capability>>>);

impl Tokens {
    /// A token that may do everything to the shared blocks, unless narrowed.
    pub(crate) fn issue(&self, name: &str, narrow: impl FnOnce(&mut Capability)) {
        let all: Operations = Operation::ALL.into_iter().collect();
        let mut capability = Capability::new(name, name, all);
        narrow(&mut capability);
        self.0.lock().insert(name.into(), Arc::new(capability));
    }
}

#[async_trait]
impl Authorizer for Tokens {
    async fn authorize(
        &self,
        bearer: Option<&str>,
        _: SystemTime,
    ) -> Result<Arc<Capability>, Refused> {
        let token = bearer.ok_or(Refused::Missing)?;
        let found = self.0.lock().get(token).cloned();
        found.ok_or(Refused::Invalid(Flaw::Signature))
    }
}

/// A service over a bucket of an embedded S3 server.
pub(crate) struct Fixture {
    pub(crate) s3: DevS3,
    pub(crate) client: S3Client,
    pub(crate) tokens: Arc<Tokens>,
    pub(crate) service: Service,
}

pub(crate) fn settings(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::default();
    settings.patience = Duration::from_millis(50);
    change(&mut settings);
    settings
}

impl Fixture {
    pub(crate) async fn new() -> Self {
        Self::with(settings(|_| {}), ENFORCED, 0).await
    }

    /// With settings, in a bucket that enforces so much, and a cache.
    pub(crate) async fn with(settings: Settings, enforced: Enforced, cache: usize) -> Self {
        let s3 = DevS3::builder().bucket("blocks").start().await.unwrap();
        let client = client(&s3);
        let tokens = Arc::<Tokens>::default();
        tokens.issue("all", |_| {});
        let service = ServiceBuilder::bucket(client.clone(), enforced)
            .settings(settings)
            .authorizer(tokens.clone())
            .cache(cache)
            .build()
            .unwrap();
        Self {
            s3,
            client,
            tokens,
            service,
        }
    }

    /// The shared blocks, as they lie in the bucket.
    pub(crate) fn shared(&self) -> S3Blockstore {
        S3Blockstore::with_client(self.client.clone())
    }

    /// A tenant's blocks, as they lie in the bucket.
    pub(crate) fn tenant(&self, name: &str) -> S3Blockstore {
        let keys = self.client.config().keys.tenant(name).unwrap();
        S3Blockstore::with_keys(self.client.clone(), keys)
    }

    pub(crate) async fn ask(
        &self,
        method: &str,
        path: &str,
        token: &str,
        body: impl Into<Bytes>,
    ) -> Asked {
        ask(&self.service, method, path, token, &[], body).await
    }

    pub(crate) async fn writes(&self, token: &str, blocks: Vec<Write>) -> Granted {
        let answer = self.ask_for_writes(token, blocks).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        answer.json()
    }

    pub(crate) async fn ask_for_writes(&self, token: &str, blocks: Vec<Write>) -> Asked {
        let writes = Writes {
            blocks,
            expires: None,
        };
        self.ask("POST", "/v1/writes", token, Encoding::Json.encode(&writes))
            .await
    }

    pub(crate) async fn complete(&self, token: &str, lease: &str) -> Asked {
        let path = format!("/v1/writes/{lease}/complete");
        self.ask("POST", &path, token, "").await
    }

    pub(crate) async fn reads(&self, token: &str, blocks: &[&Block]) -> Batch {
        let reads = Reads::of(blocks.iter().map(|block| *block.cid()));
        let answer = self
            .ask("POST", "/v1/reads", token, Encoding::Json.encode(&reads))
            .await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Batch::from_json(&answer.body).unwrap()
    }

    /// Uploads blocks as they were granted.
    pub(crate) async fn upload(&self, granted: &Granted, blocks: &[Block]) {
        let ways = granted.ways(blocks.len()).unwrap().0;
        for (way, block) in ways.into_iter().zip(blocks) {
            let size = block.len() as u64;
            let grant = match way {
                Way::Stored | Way::Proxied => continue,
                Way::Direct(index) => match &granted.direct {
                    Some(batch) => batch
                        .write(index, &Upload::new(*block.cid(), size))
                        .unwrap(),
                    None => granted.direct_grants[index].clone(),
                },
                Way::Staged(index) => {
                    let upload = Upload::new(sha256_cid(&block.sha256()), size);
                    granted
                        .staged
                        .as_ref()
                        .unwrap()
                        .write(index, &upload)
                        .unwrap()
                }
            };
            let answer = self.send(&grant, block.data().clone()).await;
            assert_eq!(answer.status(), 200, "{:?}", answer.body());
        }
    }

    /// Sends a granted request to S3.
    pub(crate) async fn send(&self, grant: &Grant, body: Bytes) -> Response<Bytes> {
        let method = match grant.method {
            GrantMethod::Get => "GET",
            GrantMethod::Head => "HEAD",
            GrantMethod::Put => "PUT",
        };
        let mut request = Request::builder().method(method).uri(&grant.url);
        for (name, value) in &grant.headers {
            if name != "content-length" {
                request = request.header(name, value);
            }
        }
        let request = request.body(body).unwrap();
        let deadline = tokio::time::Instant::now() + Duration::from_secs(20);
        self.client.http().send(request, deadline).await.unwrap()
    }
}

pub(crate) fn client(s3: &DevS3) -> S3Client {
    let url = format!(
        "s3://blocks/some/prefix?endpoint={}&region={}&style=path",
        s3.endpoint(),
        s3.region()
    );
    let mut config = S3Config::from_url(&url, &Env::empty()).unwrap();
    // Tests count requests.
    config.hedge_reads = false;
    let credentials = Credentials::new(s3.access_key(), s3.secret_key());
    config.credentials = CredentialsSource::Static(credentials);
    S3Client::new(config).unwrap()
}

/// An answer, read whole.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Asked {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    #[track_caller]
    pub(crate) fn json<T: serde::de::DeserializeOwned>(&self) -> T {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.text()))
    }

    /// The problem that was answered, whose status has to be that of its class.
    #[track_caller]
    pub(crate) fn problem(&self) -> Problem {
        let problem: Problem = self.json();
        assert_eq!(
            problem.code.status(),
            self.status.as_u16(),
            "{}",
            self.text()
        );
        problem
    }

    #[track_caller]
    pub(crate) fn code(&self) -> Code {
        self.problem().code
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers
            .get(name)
            .map_or("", |value| value.to_str().unwrap())
    }
}

/// Asks a service without a socket.
pub(crate) async fn ask(
    service: &Service,
    method: &str,
    path: &str,
    token: &str,
    headers: &[(&str, &str)],
    body: impl Into<Bytes>,
) -> Asked {
    let mut request = Request::builder().method(method).uri(path);
    if !token.is_empty() {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = service
        .handle(request.body(Full::new(body.into())).unwrap())
        .await;
    let (parts, body) = answer.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    // Whatever is answered, a page of any origin may read it.
    assert_eq!(parts.headers["access-control-allow-origin"], "*");
    assert_eq!(parts.headers["x-content-type-options"], "nosniff");
    assert!(parts.headers.contains_key("cache-control"), "{path}");
    Asked {
        status: parts.status,
        headers: parts.headers,
        body,
    }
}

/// Blocks of their own.
pub(crate) fn raw(text: &str) -> Block {
    Block::raw(Bytes::copy_from_slice(text.as_bytes()))
}

pub(crate) fn blake3(text: &str) -> Block {
    Block::encode(0x55, Hash::Blake3, Bytes::copy_from_slice(text.as_bytes())).unwrap()
}

/// As it is asked for; its SHA-256 is declared where its hash is another.
pub(crate) fn write(block: &Block) -> Write {
    let mut write = Write::new(*block.cid(), block.len() as u64);
    if block.cid().hash().code() != Hash::Sha2_256.code() {
        write.sha256 = Some(block.sha256());
    }
    write
}

pub(crate) fn tenant(name: &str) -> Tenant {
    name.parse().unwrap()
}

pub(crate) fn path_of(block: &Block) -> String {
    format!("/v1/blocks/{}", block.cid())
}

pub(crate) async fn holds(store: &impl Blockstore, block: &Block) -> bool {
    store.get(block.cid()).await.unwrap().as_ref() == Some(block)
}
