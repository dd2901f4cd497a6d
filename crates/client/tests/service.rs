//! The store against the service itself, over the embedded S3.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use cidbucket_access::{Authorizer, Capability, Flaw, Operations, Refused, Tenant};
use cidbucket_blockstore::{Block, Blockstore, Error, MemoryBlockstore, conformance};
use cidbucket_client::{Direct, DirectBlockstore, DirectConfig, Token};
use cidbucket_dev_s3::DevS3;
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_presign::{Bucket, Credentials, Seal, Style};
use cidbucket_records::Conditions;
use cidbucket_s3::{CredentialsSource, S3Client, S3Config};
use cidbucket_service::{Bounds, Enforced, Server, ServiceBuilder, Settings, Tls, Verify};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const BUCKET: &str = "blocks";
const ENFORCED: Enforced = Enforced {
    seal: Some(Seal::Checksum),
    conditions: Conditions::ALL,
    conditional_copy: true,
};

/// A service that runs until it is dropped.
struct Running {
    url: String,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
    s3: Option<DevS3>,
}

impl Running {
    async fn over(builder: ServiceBuilder, settings: Settings, tls: Option<Tls>) -> Self {
        let service = builder
            .settings(settings)
            .authorizer(Arc::new(ByName))
            .build()
            .unwrap();
        let address = "127.0.0.1:0".parse().unwrap();
        let server = Server::bind(service, address, Bounds::default(), tls)
            .await
            .unwrap();
        let url = server.url();
        let (stop, stopped) = oneshot::channel::<()>();
        let task = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        Self {
            url,
            stop: Some(stop),
            task,
            s3: None,
        }
    }

    async fn over_s3(enforced: Enforced, settings: Settings, tls: Option<Tls>) -> Self {
        let s3 = DevS3::builder()
            .public_bucket(BUCKET)
            .start()
            .await
            .unwrap();
        let bucket = Bucket::new(s3.endpoint(), BUCKET, s3.region(), Style::Path).unwrap();
        let keys = Keys::new(Prefix::new("ipfs").unwrap(), Layout::Kubo);
        let mut config = S3Config::new(bucket, keys);
        config.credentials =
            CredentialsSource::Static(Credentials::new(s3.access_key(), s3.secret_key()));
        let client = S3Client::new(config).unwrap();
        let builder = ServiceBuilder::bucket(client, enforced);
        Self {
            s3: Some(s3),
            ..Self::over(builder, settings, tls).await
        }
    }

    fn config(&self, token: &str) -> DirectConfig {
        let mut config = DirectConfig::new(&self.url).unwrap();
        config.token = Some(Token::new(token).unwrap());
        config
    }

    fn client(&self, token: &str) -> DirectBlockstore {
        DirectBlockstore::new(self.config(token)).unwrap()
    }

    async fn stop(mut self) {
        self.stop.take();
        self.task.await.unwrap();
        if let Some(s3) = self.s3.take() {
            s3.shutdown().await;
        }
    }
}

/// Takes the token `all` for one that may do all with the shared blocks, and any other for that of
/// the tenant of its name.
#[derive(Debug)]
struct ByName;

#[async_trait]
impl Authorizer for ByName {
    async fn authorize(
        &self,
        bearer: Option<&str>,
        _: SystemTime,
    ) -> Result<Arc<Capability>, Refused> {
        let name = bearer.ok_or(Refused::Missing)?;
        let mut capability = Capability::new(name, name, Operations::ALL);
        if name != "all" {
            let tenant = Tenant::new(name).map_err(|_| Refused::from(Flaw::UnknownKey))?;
            capability.tenant = Some(tenant);
        }
        Ok(Arc::new(capability))
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_over_shared_blocks() {
    let service = Running::over_s3(ENFORCED, Settings::default(), None).await;
    let mut config = service.config("all");
    config.direct = Direct::Always;
    let store = DirectBlockstore::new(config).unwrap();
    conformance::all(&store).await;
    conformance::model(&service.client("model"), 1, 200).await;
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_over_a_tenant_s_blocks() {
    let mut settings = Settings::default();
    settings.verify = Verify::Read;
    let service = Running::over_s3(ENFORCED, settings, None).await;
    let neighbour = service.client("neighbour");
    let block = Block::raw(vec![1; 10_000]);
    neighbour.put(&block).await.unwrap();
    conformance::all(&service.client("tenant")).await;
    assert_eq!(neighbour.get(block.cid()).await.unwrap(), Some(block));
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_where_reads_are_public() {
    let mut settings = Settings::default();
    settings.public_reads = true;
    let service = Running::over_s3(ENFORCED, settings, None).await;
    conformance::all(&service.client("all")).await;
    // A tenant's blocks are not among the public ones.
    conformance::model(&service.client("tenant"), 3, 100).await;
    let block = Block::raw(vec![1; 10_000]);
    let store = service.client("all");
    store.put(&block).await.unwrap();
    let anybody = DirectBlockstore::new(DirectConfig::new(&service.url).unwrap()).unwrap();
    assert_eq!(anybody.get(block.cid()).await.unwrap(), Some(block));
    assert_eq!(anybody.traffic().service.requests, 1);
    service.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_where_nothing_is_direct() {
    let service = Running::over_s3(Enforced::NOTHING, Settings::default(), None).await;
    conformance::all(&service.client("all")).await;
    service.stop().await;

    let builder = ServiceBuilder::store(Arc::new(MemoryBlockstore::new()));
    let service = Running::over(builder, Settings::default(), None).await;
    let store = service.client("all");
    conformance::all(&store).await;
    assert_eq!(store.traffic().s3.requests, 0);
    service.stop().await;
}

/// The service by TLS, and S3 without: refused unless it is meant.
#[tokio::test]
async fn grants_in_the_clear_are_refused_by_who_came_by_tls() {
    let folder = tempfile::tempdir().unwrap();
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()]).unwrap();
    let tls = Tls {
        certificate: folder.path().join("cert.pem"),
        key: folder.path().join("key.pem"),
    };
    std::fs::write(&tls.certificate, own.cert.pem()).unwrap();
    std::fs::write(&tls.key, own.signing_key.serialize_pem()).unwrap();
    let cert = tls.certificate.clone();
    let service = Running::over_s3(ENFORCED, Settings::default(), Some(tls)).await;
    let block = Block::raw(vec![1; 10_000]);

    let error = service.client("all").put(&block).await.unwrap_err();
    assert!(error.to_string().contains("TLS"), "{error}");

    let mut config = service.config("all");
    config.ca_file = Some(cert);
    let store = DirectBlockstore::new(config.clone()).unwrap();
    let error = store.put(&block).await.unwrap_err();
    assert!(matches!(error, Error::Protocol(_)), "{error}");
    assert!(error.to_string().contains("allow_http"), "{error}");
    assert_eq!(store.traffic().s3.requests, 0);

    config.allow_http = true;
    let store = DirectBlockstore::new(config).unwrap();
    store.put(&block).await.unwrap();
    assert_eq!(store.get(block.cid()).await.unwrap(), Some(block));
    service.stop().await;
}
