//! The pooled client of hyper-util: the body is collected into one `Bytes`. Once with no header and
//! a short path, and once with those of our client, signed beforehand: what S3 would accept.

use std::time::SystemTime;

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::Block;
use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_sigv4::{Credentials, Payload, Request, Signer};
use http::{HeaderMap, HeaderName, HeaderValue};
use http_body_util::{BodyExt, Full};
use hyper_util::client::legacy::Client as Pooled;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;

use super::{BARE_HYPER, Client, PRESIGNED, Target};

pub(crate) struct BareHyper {
    name: &'static str,
    client: Pooled<HttpConnector, Full<Bytes>>,
    url: String,
    get: HeaderMap,
    put: HeaderMap,
    data: Bytes,
}

impl BareHyper {
    pub(crate) fn new(target: &Target) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        Self {
            name: BARE_HYPER,
            client: Pooled::builder(TokioExecutor::new()).build(connector),
            url: format!("{}/{}/key", target.endpoint, target.bucket),
            get: HeaderMap::new(),
            put: HeaderMap::new(),
            data: target.data.clone(),
        }
    }

    pub(crate) fn signed(target: &Target) -> Self {
        let block = Block::raw(target.data.clone());
        let key = Keys::new(Prefix::default(), Layout::default()).key(block.cid());
        let path = format!("/{}/{key}", target.bucket);
        let host = target.endpoint.trim_start_matches("http://");
        let credentials = Credentials::new(&target.access_key, &target.secret_key);
        let signer = Signer::new(credentials, "us-east-1").expect("credentials");
        let headers = |method, more: &[(&'static str, &str)], payload| {
            let mut headers = vec![("host", host)];
            headers.extend(more);
            let request = Request {
                method,
                path: &path,
                query: &[],
                headers: &headers,
            };
            let signed = signer
                .sign(&request, payload, SystemTime::now().into())
                .expect("a request");
            let own = [("user-agent", "cidbucket/0.1.0")];
            own.into_iter()
                .chain(more.iter().copied())
                .chain(signed.iter())
                .map(|(name, value)| {
                    let value = HeaderValue::from_str(value).expect("a value");
                    (HeaderName::from_static(name), value)
                })
                .collect()
        };
        Self {
            name: PRESIGNED,
            url: format!("{}{path}", target.endpoint),
            get: headers("GET", &[], Payload::Empty),
            put: headers(
                "PUT",
                &[
                    ("content-type", "application/vnd.ipld.raw"),
                    ("cache-control", "public, max-age=31536000, immutable"),
                ],
                Payload::Sha256(block.sha256()),
            ),
            ..Self::new(target)
        }
    }

    async fn send(
        &self,
        method: http::Method,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, String> {
        let mut request = http::Request::builder()
            .method(method)
            .uri(&self.url)
            .body(Full::new(body))
            .map_err(|e| e.to_string())?;
        request.headers_mut().clone_from(headers);
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
        self.name
    }

    async fn get(&self) -> Result<(), String> {
        let body = self
            .send(http::Method::GET, &self.get, Bytes::new())
            .await?;
        (body.len() == self.data.len())
            .then_some(())
            .ok_or_else(|| "wrong length".into())
    }

    async fn put(&self) -> Result<(), String> {
        self.send(http::Method::PUT, &self.put, self.data.clone())
            .await
            .map(drop)
    }
}
