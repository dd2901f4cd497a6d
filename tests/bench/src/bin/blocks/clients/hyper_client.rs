//! The pooled client of hyper-util, without signing: the body is collected into one `Bytes`.

use async_trait::async_trait;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{BARE_HYPER, Client, Target};

pub(crate) struct BareHyper {
    client: Pooled<HttpConnector, Full<Bytes>>,
    url: String,
    data: Bytes,
}

impl BareHyper {
    pub(crate) fn new(target: &Target) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            client: Pooled::builder(TokioExecutor::new()).build(connector),
            url: format!("{}/{}/key", target.endpoint, target.bucket),
            data: target.data.clone(),
        }
    }

    async fn send(&self, method: http::Method, body: Bytes) -> Result<Bytes, String> {
        let request = http::Request::builder()
            .method(method)
            .uri(&self.url)
            .body(Full::new(body))
            .map_err(|e| e.to_string())?;
        let answer = self
            .client
            .request(request)
            .await
            .map_err(|e| e.to_string())?;
        if !answer.status().is_success() {
            return Err(answer.status().to_string());
        }
        Ok(answer
            .into_body()
            .collect()
            .await
            .map_err(|e| e.to_string())?
            .to_bytes())
    }
}

#[async_trait]
impl Client for BareHyper {
    fn name(&self) -> &'static str {
        BARE_HYPER
    }

    async fn get(&self) -> Result<(), String> {
        let body = self.send(http::Method::GET, Bytes::new()).await?;
        (body.len() == self.data.len())
            .then_some(())
            .ok_or_else(|| "wrong length".into())
    }

    async fn put(&self) -> Result<(), String> {
        self.send(http::Method::PUT, self.data.clone())
            .await
            .map(drop)
    }
}
