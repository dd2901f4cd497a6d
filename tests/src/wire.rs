//! HTTP/1.1 requests byte by byte, for those that no decent client would send.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

/// A request, every part of which a test may bend.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Host and port to connect to. Not sent.
    pub authority: String,
    /// The method.
    pub method: String,
    /// The request target's path, percent-encoded, beginning with `/`.
    pub path: String,
    /// The query, names and values percent-encoded.
    pub query: Vec<(String, String)>,
    /// Headers in their order. `host` and `content-length` are among them.
    pub headers: Vec<(String, String)>,
    /// The body. Sent as it is, whatever `content-length` says.
    pub body: Vec<u8>,
}

/// A response.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The head, as text.
    pub head: String,
    /// The body, as far as it came.
    pub body: Vec<u8>,
    /// Whether all of it came, by its length or its last chunk.
    pub whole: bool,
    /// The trailers behind a body in chunks, as text.
    pub trailers: String,
}

impl Response {
    /// A header's value; empty where it has none.
    pub fn header(&self, name: &str) -> &str {
        let mut lines = self.head.lines().skip(1);
        let found = lines.find_map(|line| {
            let (own, value) = line.split_once(':')?;
            own.eq_ignore_ascii_case(name).then_some(value.trim())
        });
        found.unwrap_or_default()
    }
}

impl Request {
    /// The request of a grant in the JSON form that `cidbucket presign --format json` prints.
    ///
    /// # Panics
    /// Where `grant` has not that form, or its URL is not plain HTTP.
    pub fn grant(grant: &Value, body: &[u8]) -> Self {
        let text = |value: &Value| value.as_str().expect("text in a grant").to_owned();
        let url = text(&grant["url"]);
        let rest = url.strip_prefix("http://").expect("a URL of plain HTTP");
        let (authority, target) = rest.split_once('/').expect("a URL with a path");
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let mut request = Self {
            authority: authority.to_owned(),
            method: text(&grant["method"]),
            path: format!("/{path}"),
            query: query
                .split('&')
                .filter(|pair| !pair.is_empty())
                .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
            headers: grant["headers"]
                .as_object()
                .expect("headers in a grant")
                .iter()
                .map(|(name, value)| (name.clone(), text(value)))
                .collect(),
            body: body.to_vec(),
        };
        if request.header("host").is_none() {
            request.set_header("host", authority);
        }
        if !body.is_empty() || request.method == "PUT" {
            request.set_header("content-length", &body.len().to_string());
        }
        request
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// Sets a header, in its old place where it had one.
    pub fn set_header(&mut self, name: &str, value: &str) {
        match self
            .headers
            .iter_mut()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
        {
            Some((_, known)) => value.clone_into(known),
            None => self.headers.push((name.to_owned(), value.to_owned())),
        }
    }

    /// Sends it on a connection of its own.
    ///
    /// # Errors
    /// Where no HTTP response came within 30 seconds. A server that refuses may close the
    /// connection early; that is no error as long as its response arrived.
    pub fn send(&self) -> io::Result<Response> {
        let timeout = Some(Duration::from_secs(30));
        let mut stream = TcpStream::connect(&self.authority)?;
        stream.set_read_timeout(timeout)?;
        stream.set_write_timeout(timeout)?;
        stream.set_nodelay(true)?;
        stream.write_all(self.head().as_bytes())?;
        // The answer may come, and the connection end, before the whole body is taken.
        let sent = stream.write_all(&self.body);
        let mut answer = Vec::new();
        let read = stream.read_to_end(&mut answer);
        parse(&answer).ok_or_else(|| {
            sent.and(read.map(drop)).err().unwrap_or_else(|| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("no HTTP response: {:?}", String::from_utf8_lossy(&answer)),
                )
            })
        })
    }

    fn head(&self) -> String {
        let query: Vec<String> = self
            .query
            .iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        let separator = if query.is_empty() { "" } else { "?" };
        let mut head = format!(
            "{} {}{separator}{} HTTP/1.1\r\n",
            self.method,
            self.path,
            query.join("&")
        );
        for (name, value) in &self.headers {
            head.push_str(name);
            head.push_str(": ");
            head.push_str(value);
            head.push_str("\r\n");
        }
        head.push_str("connection: close\r\n\r\n");
        head
    }
}

/// The last response in `answer`: informational ones (1xx) come before it.
fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let (head, body) = (&answer[..end], &answer[end + 4..]);
    let head = String::from_utf8_lossy(head).into_owned();
    let status = head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    if status < 200 {
        return parse(body);
    }
    let (body, whole, trailers) = body_of(&head, body);
    Some(Response {
        status,
        head,
        body,
        whole,
        trailers,
    })
}

fn body_of(head: &str, raw: &[u8]) -> (Vec<u8>, bool, String) {
    let chunked = head.lines().any(|line| {
        line.to_ascii_lowercase()
            .replace(' ', "")
            .starts_with("transfer-encoding:chunked")
    });
    if !chunked {
        let length = head.lines().find_map(|line| {
            let line = line.to_ascii_lowercase();
            line.strip_prefix("content-length:")?.trim().parse().ok()
        });
        let whole = length.is_none_or(|length: usize| length == raw.len());
        return (raw.to_vec(), whole, String::new());
    }
    let mut body = Vec::new();
    let mut rest = raw;
    while let Some(line) = rest.windows(2).position(|two| two == b"\r\n") {
        let size = std::str::from_utf8(&rest[..line])
            .ok()
            .and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        match size {
            Some(size @ 1..) if rest.len() >= line + 2 + size => {
                body.extend_from_slice(&rest[line + 2..line + 2 + size]);
                rest = rest.get(line + 4 + size..).unwrap_or_default();
            }
            Some(0) => {
                let trailers = String::from_utf8_lossy(&rest[line + 2..]);
                return (body, true, trailers.trim_end().to_owned());
            }
            _ => break,
        }
    }
    (body, false, String::new())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_behind_an_informational_one_is_found() {
        let response = parse(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 403 Forbidden\r\ncontent-length: 2\r\n\r\nno",
        )
        .unwrap();
        assert_eq!((response.status, &*response.body), (403, &b"no"[..]));
    }

    #[test]
    fn chunks_are_joined() {
        let response = parse(
            b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\nx: y\r\n\r\n",
        )
        .unwrap();
        assert_eq!(
            (&*response.body, &*response.trailers),
            (&b"abcde"[..], "x: y")
        );
        assert!(response.whole);
        let cut =
            parse(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n").unwrap();
        assert!(!cut.whole);
    }

    #[test]
    fn half_a_head_is_no_response() {
        assert_eq!(parse(b"HTTP/1.1 200 OK\r\nContent-"), None);
    }
}
