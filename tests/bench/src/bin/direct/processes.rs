//! The S3 server and the service, and the relays beside the service.

use std::net::SocketAddr;
use std::process::Command;

use cidbucket_bench::relay::Relay;
use cidbucket_bench::running::{Running, binary};

/// All that runs. Ends with it.
pub struct Setup {
    s3: Running,
    service: Running,
    to_s3: Relay,
    to_service: Relay,
    /// A token that may read and write.
    pub token: String,
    _folder: tempfile::TempDir,
}

impl Setup {
    /// Starts everything.
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let path = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
        let s3 = Running::start(
            Command::new(binary())
                .args(["serve", "--dev", "--json", "--listen", "127.0.0.1:0"])
                .args(["--data-dir", &path("s3")]),
        );
        let endpoint = s3.field("endpoint");
        let to_s3 = Relay::start(addr(&endpoint));
        let key = path("key.json");
        let run = |args: &[&str]| {
            let output = Command::new(binary()).args(args).output().expect("run");
            assert!(output.status.success(), "{args:?}: {output:?}");
            String::from_utf8(output.stdout).expect("text")
        };
        run(&["token", "key", "-o", &key]);
        let token = run(&["token", "issue", "--key", &key, "--ops", "read,write"]);
        let store = format!(
            "s3://{}/bench?endpoint=http://{}&public-endpoint={endpoint}&region={}&style=path",
            s3.field("bucket"),
            to_s3.addr(),
            s3.field("region")
        );
        let service = Running::start(
            Command::new(binary())
                .args(["serve", "--json", "--listen", "127.0.0.1:0", "--cache", "0"])
                .args(["--store", &store, "--token-key", &key])
                .env("AWS_ACCESS_KEY_ID", s3.field("access_key"))
                .env("AWS_SECRET_ACCESS_KEY", s3.field("secret_key"))
                .env("AWS_EC2_METADATA_DISABLED", "true"),
        );
        let to_service = Relay::start(addr(&service.field("service")));
        Self {
            s3,
            service,
            to_s3,
            to_service,
            token: token.trim().to_owned(),
            _folder: folder,
        }
    }

    /// The service's URL, through its relay.
    pub fn url(&self) -> String {
        format!("http://{}", self.to_service.addr())
    }

    /// The service's own address.
    pub fn service(&self) -> SocketAddr {
        addr(&self.service.field("service"))
    }

    /// Bytes that the service sent and received so far, on both sides.
    pub fn bytes(&self) -> u64 {
        self.to_s3.bytes() + self.to_service.bytes()
    }

    /// CPU time of the service's process so far, in seconds.
    pub fn cpu(&self) -> f64 {
        self.service.cpu()
    }
}

fn addr(url: &str) -> SocketAddr {
    let authority = url.split_once("://").expect("a URL").1;
    authority.trim_end_matches('/').parse().expect("an address")
}
