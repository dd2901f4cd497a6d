//! A raw client: one connection a request, nothing retried, nothing hidden.

use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use cidbucket_dev_s3::DevS3;
use cidbucket_sigv4::{
    Credentials, Payload, Presign, Request, Signer, Timestamp, encode_path, encode_query,
};
use http::HeaderMap;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use sha2::{Digest, Sha256};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};

pub(crate) struct Client {
    pub(crate) host: String,
    pub(crate) signer: Signer,
}

/// An answer, read to its end.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Bytes,
}

impl Reply {
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    /// All texts between `<name>` and `</name>`.
    pub(crate) fn elements(&self, name: &str) -> Vec<String> {
        let (open, close) = (format!("<{name}>"), format!("</{name}>"));
        let text = self.text();
        let rest = text.split(&open).skip(1);
        rest.map(|rest| rest.split(&close).next().unwrap().to_owned())
            .collect()
    }

    /// Asserts the status and, where there is a body, the S3 error code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.elements("Code"), [code], "{}", self.text());
    }

    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        assert!(
            (200..300).contains(&self.status),
            "{} {}",
            self.status,
            self.text()
        );
        self
    }
}

type Pairs<'a> = &'a [(&'a str, &'a str)];

impl Client {
    pub(crate) fn of(server: &DevS3) -> Self {
        let mut keys = Credentials::new(server.access_key(), server.secret_key());
        if let Some(token) = server.session_token() {
            keys = keys.with_session_token(token);
        }
        Self::with(server, keys)
    }

    pub(crate) fn with(server: &DevS3, keys: Credentials) -> Self {
        Self {
            host: server.addr().to_string(),
            signer: Signer::new(keys, server.region()).unwrap(),
        }
    }

    pub(crate) async fn get(&self, path: &str) -> Reply {
        self.send("GET", path, &[], &[], b"").await
    }

    pub(crate) async fn put(&self, path: &str, headers: Pairs<'_>, body: &[u8]) -> Reply {
        self.send("PUT", path, &[], headers, body).await
    }

    /// Signed in the headers, with the hash of the body.
    pub(crate) async fn send(
        &self,
        method: &str,
        path: &str,
        query: Pairs<'_>,
        headers: Pairs<'_>,
        body: &[u8],
    ) -> Reply {
        let payload = Payload::Sha256(Sha256::digest(body).into());
        let signed = self.signed(method, path, query, headers, payload);
        let target = format!("{}?{}", encode_path(path), encode_query(query));
        self.raw(method, &target, &borrowed(&signed), body)
            .await
            .unwrap()
    }

    /// `headers` with those that sign them.
    pub(crate) fn signed(
        &self,
        method: &str,
        path: &str,
        query: Pairs<'_>,
        headers: Pairs<'_>,
        payload: Payload,
    ) -> Vec<(String, String)> {
        let mut all = vec![("host", self.host.as_str())];
        all.extend_from_slice(headers);
        let request = Request {
            method,
            path,
            query,
            headers: &all,
        };
        let signed = self.signer.sign(&request, payload, now()).unwrap();
        let owned = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        let sent = headers.iter().copied();
        sent.map(owned).chain(signed.iter().map(owned)).collect()
    }

    /// Path and query of a signed URL for a request with these headers.
    pub(crate) fn presigned(
        &self,
        method: &str,
        path: &str,
        headers: Pairs<'_>,
        (now, expires): (Timestamp, u32),
    ) -> String {
        let mut all = vec![("host", self.host.as_str())];
        all.extend_from_slice(headers);
        let request = Request {
            method,
            path,
            query: &[],
            headers: &all,
        };
        let presign = Presign {
            scheme: "http",
            payload: Payload::Unsigned,
            now,
            expires,
        };
        let url = self.signer.presign(&request, &presign).unwrap();
        let base = format!("http://{}", self.host);
        url.strip_prefix(&base).unwrap().to_owned()
    }

    /// As it stands: `target` is encoded already, nothing is signed.
    pub(crate) async fn raw(
        &self,
        method: &str,
        target: &str,
        headers: Pairs<'_>,
        body: &[u8],
    ) -> Result<Reply, hyper::Error> {
        let address = self.host.rsplit_once(':').unwrap().1;
        let stream = TcpStream::connect(format!("127.0.0.1:{address}"))
            .await
            .unwrap();
        self.over(stream, method, target, headers, body).await
    }

    /// The same over a connection that is there already.
    pub(crate) async fn over(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
        method: &str,
        target: &str,
        headers: Pairs<'_>,
        body: &[u8],
    ) -> Result<Reply, hyper::Error> {
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(connection);
        let request = self.request(method, target, headers, body);
        let reply = exchange(&mut sender, request).await;
        connection.abort();
        reply
    }

    pub(crate) fn request(
        &self,
        method: &str,
        target: &str,
        headers: Pairs<'_>,
        body: &[u8],
    ) -> http::Request<Full<Bytes>> {
        let mut request = http::Request::builder().method(method).uri(target);
        request = request.header("host", &self.host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        // hyper leaves it out, and S3 wants it.
        if method == "PUT" && body.is_empty() {
            request = request.header("content-length", "0");
        }
        let body = Full::new(Bytes::copy_from_slice(body));
        request.body(body).unwrap()
    }
}

/// Sends a request and reads its answer to the end.
pub(crate) async fn exchange(
    sender: &mut http1::SendRequest<Full<Bytes>>,
    request: http::Request<Full<Bytes>>,
) -> Result<Reply, hyper::Error> {
    sender.ready().await?;
    let (head, body) = sender.send_request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    Ok(Reply {
        status: head.status.as_u16(),
        headers: head.headers,
        body,
    })
}

pub(crate) fn borrowed(headers: &[(String, String)]) -> Vec<(&str, &str)> {
    headers
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect()
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_unix(since.as_secs())
}

pub(crate) fn base64_sha256(body: &[u8]) -> String {
    data_encoding::BASE64.encode(&Sha256::digest(body))
}
