//! Requests of grants, mutated: what nobody without credentials may get done.

use std::io;

use crate::wire::{Request, Response};

/// A request that differs from a grant's in one thing.
#[derive(Debug, Clone)]
pub struct Mutation {
    /// What was changed.
    pub what: String,
    /// The request.
    pub request: Request,
    /// Servers may read it as the very request that was granted (of a parameter that is there
    /// twice some take the last). Then they may do what was granted, and nothing else.
    pub respelled: bool,
}

/// The request with each part of it changed in turn, other than its body. `added` are parameters
/// of the query that mean something to S3.
pub fn requests_mutated(grant: &Request, added: &[(&str, &str)]) -> Vec<Mutation> {
    let mut mutations = Mutations {
        grant,
        all: Vec::new(),
    };
    mutations.methods();
    mutations.keys();
    mutations.query(added);
    mutations.signature();
    mutations.headers();
    mutations.all
}

/// The request with other bytes, and with each header that seals the bytes changed to fit them.
pub fn bodies_mutated(grant: &Request) -> Vec<Mutation> {
    let mut all = Vec::new();
    let size = grant.body.len();
    let flipped = |at: usize| {
        let mut body = grant.body.clone();
        body[at] ^= 0x80;
        body
    };
    for (what, body) in [
        ("first byte", flipped(0)),
        ("middle byte", flipped(size / 2)),
        ("last byte", flipped(size - 1)),
        ("one byte less", grant.body[..size - 1].to_vec()),
        ("one byte more", [&grant.body[..], b"\0"].concat()),
        ("twice the bytes", grant.body.repeat(2)),
        ("no bytes", Vec::new()),
    ] {
        let mut request = grant.clone();
        request.set_header("content-length", &body.len().to_string());
        request.body.clone_from(&body);
        let mut mutations = Mutations {
            grant: &request,
            all: Vec::new(),
        };
        mutations.push(what, |_| {});
        for name in sealing_headers(grant) {
            mutations.push(format!("{what}, without header {name}"), |request| {
                request.headers.retain(|(known, _)| *known != name);
            });
            mutations.push(format!("{what}, header {name} to fit"), |request| {
                request.set_header(&name, &fitting(&name, &body));
            });
        }
        for claim in ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER"] {
            mutations.push(format!("{what}, claimed {claim}"), |request| {
                request.set_header("x-amz-content-sha256", claim);
            });
        }
        all.append(&mut mutations.all);
    }
    all
}

/// Whether the server did as it was asked. No response at all is a refusal: a server may close
/// the connection on a request that it cannot make sense of.
pub fn is_accepted(outcome: &io::Result<Response>) -> bool {
    outcome.as_ref().is_ok_and(|response| response.status < 300)
}

/// Mutations of one request.
struct Mutations<'a> {
    grant: &'a Request,
    all: Vec<Mutation>,
}

impl Mutations<'_> {
    fn push(&mut self, what: impl Into<String>, mutate: impl FnOnce(&mut Request)) {
        let mut request = self.grant.clone();
        mutate(&mut request);
        self.all.push(Mutation {
            what: what.into(),
            request,
            respelled: false,
        });
    }

    fn push_respelled(&mut self, what: impl Into<String>, mutate: impl FnOnce(&mut Request)) {
        self.push(what, mutate);
        self.all.last_mut().expect("the one just pushed").respelled = true;
    }

    fn methods(&mut self) {
        for method in ["GET", "HEAD", "PUT", "DELETE", "POST"] {
            if method != self.grant.method {
                self.push(format!("method {method}"), |request| {
                    method.clone_into(&mut request.method);
                });
            }
        }
    }

    fn keys(&mut self) {
        let (folder, name) = self
            .grant
            .path
            .rsplit_once('/')
            .expect("a key with a prefix");
        for path in [
            format!("{folder}/{name}A"),
            format!("{folder}/{}", &name[..name.len() - 1]),
            format!("{folder}/{}", name.to_lowercase()),
            format!("{folder}/x/{name}"),
            format!("{folder}//{name}"),
            format!("{folder}/./{name}"),
            format!("{folder}/x/../{name}x"),
            format!("/other-bucket{}", self.grant.path),
            folder.to_owned(),
        ] {
            self.push(format!("path {path}"), |request| request.path = path);
        }
        // One character of the key at a time.
        for at in 0..name.len() {
            let mut other = name.as_bytes().to_vec();
            other[at] = if other[at] == b'A' { b'B' } else { b'A' };
            let other = String::from_utf8(other).expect("ASCII");
            self.push(format!("key {other}"), |request| {
                request.path = format!("{folder}/{other}");
            });
        }
    }

    /// `added` are query parameters that mean something to S3.
    fn query(&mut self, added: &[(&str, &str)]) {
        for (at, (name, value)) in self.grant.query.iter().enumerate() {
            self.push(format!("without {name}"), |request| {
                request.query.remove(at);
            });
            for (how, other) in [
                ("empty", String::new()),
                ("longer", format!("{value}0")),
                ("shorter", value[..value.len() - 1].to_owned()),
            ] {
                self.push(format!("{name} {how}"), |request| {
                    request.query[at].1 = other;
                });
            }
            let other = if name == "X-Amz-Signature" {
                "0".repeat(64)
            } else {
                format!("1{value}")
            };
            for (side, place) in [("before", at), ("behind", at + 1)] {
                self.push_respelled(format!("another {name} {side} it"), |request| {
                    request.query.insert(place, (name.clone(), other.clone()));
                });
            }
        }
        for (name, value) in added {
            self.push(format!("with {name}"), |request| {
                request
                    .query
                    .push(((*name).to_owned(), (*value).to_owned()));
            });
        }
    }

    /// One digit of the signature at a time.
    fn signature(&mut self) {
        let query = &self.grant.query;
        let at = query.iter().position(|(name, _)| name == "X-Amz-Signature");
        let at = at.expect("a grant that is signed in its query");
        for digit in 0..query[at].1.len() {
            self.push(format!("signature, digit {digit}"), |request| {
                let signature = &mut request.query[at].1;
                let other = if signature.as_bytes()[digit] == b'0' {
                    "1"
                } else {
                    "0"
                };
                signature.replace_range(digit..=digit, other);
            });
        }
    }

    fn headers(&mut self) {
        for name in sealing_headers(self.grant) {
            self.push(format!("without header {name}"), |request| {
                request.headers.retain(|(known, _)| *known != name);
            });
            self.push(format!("header {name} empty"), |request| {
                request.set_header(&name, "");
            });
        }
        for host in ["localhost", "other.example"] {
            self.push(format!("host {host}"), |request| {
                request.set_header("host", host);
            });
        }
        self.push_respelled("host without its port", |request| {
            request.set_header("host", "127.0.0.1");
        });
        // Not signed. AWS refuses each of them; Ceph 16 does what they say, to the granted bytes.
        for (name, value) in [
            ("x-amz-acl", "private"),
            ("x-amz-meta-a", "b"),
            ("x-amz-copy-source", &*format!("{}x", self.grant.path)),
        ] {
            self.push_respelled(format!("with header {name}"), |request| {
                request.set_header(name, value);
            });
        }
    }
}

/// Names of the signed headers that a client is to send besides `host` and `content-length`: a
/// request without those two is no request to HTTP/1.1.
fn sealing_headers(grant: &Request) -> Vec<String> {
    let query = &grant.query;
    let signed = query.iter().find(|(name, _)| name == "X-Amz-SignedHeaders");
    let (_, names) = signed.expect("a grant that is signed in its query");
    names
        .replace("%3B", ";")
        .split(';')
        .filter(|name| !["content-length", "host"].contains(name))
        .map(str::to_owned)
        .collect()
}

/// The value of a header that seals a body, for another body.
fn fitting(name: &str, body: &[u8]) -> String {
    use data_encoding::{BASE64, HEXLOWER};
    use sha2::Digest;
    let sha256 = sha2::Sha256::digest(body);
    match name {
        "x-amz-checksum-sha256" => BASE64.encode(&sha256),
        "x-amz-content-sha256" => HEXLOWER.encode(&sha256),
        // Of these no value fits more than another.
        _ => "x".to_owned(),
    }
}
