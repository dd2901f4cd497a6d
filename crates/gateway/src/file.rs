//! Files for people: the bytes that UnixFS makes of a DAG.

use std::ops::Range;
use std::sync::Arc;

use cidbucket_blockstore::Blockstore;
use cidbucket_blockstore::codec::{DAG_PB, RAW};
use cidbucket_dag::{ContentPath, DagError, resolve, unixfs};
use futures::stream::StreamExt;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::ask::Ask;
use crate::byte_range::{Wanted, content_range, wanted};
use crate::entity_tag::{EntityTag, IfNoneMatch};
use crate::gateway::{moved, not_modified};
use crate::headers::{self, Keep};
use crate::negotiate::Negotiated;
use crate::owned::owned;
use crate::raw::outside;
use crate::route::follow;
use crate::{Audience, Body, Cid, Refusal, directory, media_type};

/// What is shown for a directory that has it.
const INDEX: &str = "index.html";

/// What may run of somebody's file on an origin that it shares with others: nothing. Scripts, forms
/// and plug-ins are off, and the page has an origin of its own that no cookie or storage goes with.
const SANDBOX: &str = "sandbox; default-src 'self' data: blob:; style-src 'self' 'unsafe-inline'; \
     script-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'self'";

/// What all answers for people have in common.
pub(crate) struct Shown<'a> {
    pub(crate) ask: &'a Ask,
    pub(crate) negotiated: &'a Negotiated,
    /// Whether the content has an origin of its own.
    pub(crate) isolated: bool,
    pub(crate) audience: Audience,
}

pub(crate) async fn answer(
    ask: &Ask,
    negotiated: &Negotiated,
    isolated: bool,
    store: Arc<dyn Blockstore>,
    audience: Audience,
) -> Result<Response<Body>, Refusal> {
    let shown = Shown {
        ask,
        negotiated,
        isolated,
        audience,
    };
    let route = follow(&*store, &ask.path).await?;
    if !route.target.segments.is_empty() {
        return Err(not_unixfs());
    }
    let cid = route.target.root;
    let node = node(&*store, &cid).await?;
    let roots = route.roots();
    if let Some(size) = node.size().filter(|_| node.kind().is_file()) {
        let name = ask.query.get("filename");
        let name = name.as_deref().or(ask.path.name());
        let media_type = media_type(name.unwrap_or_default(), &cid, &*store).await?;
        return Ok(shown.file(
            File {
                cid,
                size,
                media_type,
            },
            &roots,
            store,
        ));
    }
    if !node.kind().is_directory() {
        return Err(not_unixfs());
    }
    if !ask.path.slash {
        return Ok(moved(&shown.with_slash()));
    }
    let index = ContentPath {
        root: cid,
        segments: vec![INDEX.to_owned()],
    };
    match resolve(&*store, &index).await {
        Ok(found) => {
            let node = self::node(&*store, &found.cid).await?;
            let size = node.size().filter(|_| node.kind().is_file());
            let file = File {
                cid: found.cid,
                size: size.ok_or_else(not_unixfs)?,
                media_type: "text/html".into(),
            };
            Ok(shown.file(file, &roots, store))
        }
        Err(DagError::NoLink { .. }) => Ok(directory::answer(&shown, cid, &roots, store)),
        Err(error) => Err(error.into()),
    }
}

/// The node of a CID, if it can be one of UnixFS.
async fn node(store: &dyn Blockstore, cid: &Cid) -> Result<unixfs::Node, Refusal> {
    if !matches!(cid.codec(), RAW | DAG_PB) {
        return Err(not_unixfs());
    }
    Ok(unixfs::node(store, cid).await?)
}

fn not_unixfs() -> Refusal {
    Refusal::not_acceptable(
        "this is neither a file nor a directory: ask for ?format=raw or ?format=car",
    )
}

/// A file.
struct File {
    cid: Cid,
    size: u64,
    media_type: String,
}

impl Shown<'_> {
    fn file(&self, file: File, roots: &str, store: Arc<dyn Blockstore>) -> Response<Body> {
        let File {
            cid,
            size,
            media_type,
        } = file;
        let ask = self.ask;
        let tag = EntityTag::strong(&cid.to_string(), "");
        let range = if !ask.head && tag.if_range(&ask.headers) {
            wanted(&ask.headers, size)
        } else {
            Wanted::All
        };
        let mut answer = if tag.none_match(&ask.headers) == IfNoneMatch::Other {
            match range {
                Wanted::Outside => return outside(size),
                Wanted::All => part(ask.head, store, cid, 0..size),
                Wanted::Part(range) => {
                    let content_range = content_range(Some(&range), size);
                    let mut answer = part(ask.head, store, cid, range);
                    *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
                    answer
                        .headers_mut()
                        .insert(header::CONTENT_RANGE, content_range);
                    answer
                }
            }
        } else {
            not_modified()
        };
        let found = answer.status().is_success();
        let headers = answer.headers_mut();
        headers::keep(headers, tag, Keep::ForEver, self.audience);
        headers::origin(headers, &ask.path, roots, self.negotiated);
        if found {
            let media_type = HeaderValue::from_str(&media_type);
            let unknown = HeaderValue::from_static("application/octet-stream");
            headers.insert(header::CONTENT_TYPE, media_type.unwrap_or(unknown));
            headers.insert(header::ACCEPT_RANGES, HeaderValue::from_static("bytes"));
            self.protect(headers);
            self.name(headers);
        }
        answer
    }

    /// Keeps content from doing harm to what else is on its origin.
    fn protect(&self, headers: &mut HeaderMap) {
        if !self.isolated {
            let policy = HeaderValue::from_static(SANDBOX);
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
    }

    fn name(&self, headers: &mut HeaderMap) {
        let query = &self.ask.query;
        let kind = match query.get("download").as_deref() {
            Some("true") => "attachment",
            _ => "inline",
        };
        let name = query.get("filename");
        let name = name.as_deref();
        if let Some(name) = name.or(self.ask.path.name().filter(|_| kind == "attachment")) {
            headers.insert(
                header::CONTENT_DISPOSITION,
                headers::disposition(kind, name),
            );
        } else if kind == "attachment" {
            let kind = HeaderValue::from_static("attachment");
            headers.insert(header::CONTENT_DISPOSITION, kind);
        }
    }

    /// The same URL with a slash at its end, so that a directory's links lead into it. It begins
    /// with one slash only: more would be the name of a host.
    fn with_slash(&self) -> String {
        let path = &self.ask.path;
        let mut url = if self.isolated {
            format!("/{}/", path.below())
        } else {
            format!("{}/", path.url())
        };
        if let Some(query) = Some(self.ask.query.with(&[])).filter(|query| !query.is_empty()) {
            url.push('?');
            url.push_str(&query);
        }
        url
    }
}

/// Some bytes of a file.
fn part(head: bool, store: Arc<dyn Blockstore>, cid: Cid, range: Range<u64>) -> Response<Body> {
    let length = range.end - range.start;
    let body = if head {
        Body::unknown()
    } else if length == 0 {
        Body::empty()
    } else {
        let bytes = owned(store, move |store| unixfs::cat(store, cid, range));
        Body::stream(bytes, Some(length))
    };
    let mut answer = Response::new(body);
    answer
        .headers_mut()
        .insert(header::CONTENT_LENGTH, length.into());
    answer
}

async fn media_type(name: &str, cid: &Cid, store: &dyn Blockstore) -> Result<String, Refusal> {
    if let Some(known) = media_type::of_name(name) {
        return Ok(known);
    }
    let mut first = Vec::new();
    let mut bytes = unixfs::cat(store, *cid, 0..media_type::FIRST);
    while let Some(bytes) = bytes.next().await {
        first.extend_from_slice(&bytes?);
    }
    Ok(media_type::of_bytes(&first).to_owned())
}
