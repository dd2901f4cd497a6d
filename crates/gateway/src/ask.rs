//! A request that was understood. Pure.

use std::fmt;

use http::request::Parts;
use http::{HeaderMap, HeaderName, Method, StatusCode, header};

use crate::content_path::ContentPath;
use crate::host::{self, Host};
use crate::negotiate::{Format, Negotiated, negotiate};
use crate::query::Query;
use crate::{Cid, Options, Refusal};

/// A request that was understood, and is to be answered from a store.
#[derive(Clone)]
pub struct Ask {
    pub(crate) head: bool,
    pub(crate) path: ContentPath,
    pub(crate) query: Query,
    pub(crate) kind: Kind,
    pub(crate) only_if_cached: bool,
    pub(crate) headers: HeaderMap,
}

/// What makes an answer another than the whole.
const CONDITIONS: [HeaderName; 3] = [header::IF_NONE_MATCH, header::IF_RANGE, header::RANGE];

/// What is to be answered.
#[derive(Debug, Clone)]
pub(crate) enum Kind {
    /// A form of the content.
    Content(Negotiated, Place),
    /// Whether the root is there, whatever form is wanted.
    Presence,
    /// It is elsewhere.
    Moved(String),
}

/// Where content is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// Under `/ipfs/`, on the origin of everything else.
    Path,
    /// On an origin of its own.
    Origin,
}

impl Ask {
    pub(crate) fn read(parts: Parts, options: &Options) -> Result<Self, Refusal> {
        let query = Query::parse(parts.uri.query());
        let url = parts.uri.path();
        let of_host = options.host.as_deref().map_or(Host::Other, |own| {
            host::of(host::name(&parts.headers, &parts.uri), own)
        });
        let (path, place) = match &of_host {
            Host::Content(cid) => {
                let cid = cid.as_ref().map_err(Clone::clone)?;
                let rest = url.trim_start_matches('/');
                (
                    ContentPath::under(*cid, rest, url.ends_with('/'))?,
                    Place::Origin,
                )
            }
            Host::Gateway { .. } | Host::Other => {
                let rest = url.strip_prefix("/ipfs/").ok_or_else(Refusal::not_found)?;
                // What browsers make of `ipfs://` where the gateway is registered for it.
                let uri = query.get("uri").filter(|_| rest.is_empty());
                if let Some(uri) = uri {
                    return Self::moved(&parts, &uri);
                }
                (ContentPath::parse(rest)?, Place::Path)
            }
        };
        refuse_scripts(&parts, place)?;
        let head = parts.method == Method::HEAD;
        let only_if_cached = parts
            .headers
            .get_all(header::CACHE_CONTROL)
            .iter()
            .any(|value| {
                let directives = value.as_bytes().split(|byte| *byte == b',');
                directives
                    .map(<[u8]>::trim_ascii)
                    .any(|one| one == b"only-if-cached")
            });
        let files = options.files || !matches!(of_host, Host::Other);
        let negotiated = negotiate(&query, &parts.headers, files);
        let kind = match negotiated {
            // To have it is enough, whatever the form.
            Err(_) if head && only_if_cached => Kind::Presence,
            Err(refusal) => return Err(refusal),
            Ok(negotiated) => match (&negotiated.format, &of_host) {
                (Format::File, Host::Gateway { authority }) => {
                    Kind::Moved(host::location(&path, authority, parts.uri.query())?)
                }
                (Format::Raw, _) if !path.segments.is_empty() => {
                    return Err(Refusal::bad(
                        "a block has no path: ask for /ipfs/{cid}?format=raw, or for ?format=car",
                    ));
                }
                (Format::Car(_), _) if head && only_if_cached => Kind::Presence,
                (Format::Car(_), _) if !head && parts.version <= http::Version::HTTP_10 => {
                    return Err(Refusal::new(
                        StatusCode::HTTP_VERSION_NOT_SUPPORTED,
                        "a CAR that is cut off looks whole in HTTP/1.0: use HTTP/1.1 or HTTP/2",
                    ));
                }
                _ => Kind::Content(negotiated, place),
            },
        };
        Ok(Self {
            head,
            path,
            query,
            kind,
            only_if_cached,
            headers: parts.headers,
        })
    }

    /// A request for the URL of a URI (subdomain-gateway, "URI router").
    fn moved(parts: &Parts, uri: &str) -> Result<Self, Refusal> {
        let Some(rest) = uri.strip_prefix("ipfs://") else {
            return Err(Refusal::bad("?uri= takes ipfs://{cid}[/{path}]"));
        };
        let (rest, asked) = rest.split_once('?').unwrap_or((rest, ""));
        let path = ContentPath::parse(rest)?;
        let mut location = path.url();
        if path.slash {
            location.push('/');
        }
        if !asked.is_empty() {
            location.push('?');
            location.push_str(&Query::parse(Some(asked)).with(&[]));
        }
        Ok(Self {
            head: parts.method == Method::HEAD,
            path,
            query: Query::default(),
            kind: Kind::Moved(location),
            only_if_cached: false,
            headers: HeaderMap::new(),
        })
    }

    /// The headers of the request.
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// The CID of the path.
    pub fn root(&self) -> &Cid {
        &self.path.root
    }

    /// Whether it can be answered without a store: it asks whether this is a gateway
    /// (trustless-gateway, "Dedicated Probe Paths"), or for what the URL itself holds.
    pub fn needs_no_store(&self) -> bool {
        matches!(self.kind, Kind::Moved(_))
            || self.path.segments.is_empty()
                && self.path.root.hash().code() == 0
                && self.path.root.hash().digest().is_empty()
    }

    /// Whether it is a GET of one block of the store, all of it: what a redirect to the store itself
    /// answers as well.
    pub fn is_plain_block(&self) -> bool {
        let raw = matches!(
            &self.kind,
            Kind::Content(negotiated, _) if negotiated.format == Format::Raw
        );
        raw && !self.head
            && !self.only_if_cached
            && CONDITIONS
                .iter()
                .all(|name| !self.headers.contains_key(name))
            && self.path.root.hash().code() != 0
    }

    /// How many blocks are held in memory at once while it is answered from a store that does so many
    /// operations at once ([`Blockstore::concurrency`](cidbucket_blockstore::Blockstore)).
    pub fn blocks(&self, concurrency: usize) -> usize {
        match &self.kind {
            Kind::Moved(_) | Kind::Presence => 0,
            Kind::Content(negotiated, _) => match &negotiated.format {
                Format::Raw if self.head => 0,
                Format::Raw => 1,
                // Its path is followed, a block at a time.
                Format::Car(_) | Format::File if self.head => 1,
                // Those that were fetched ahead, as many that are under way, the one that is handed
                // over, and the one that is sent.
                Format::Car(_) | Format::File => 2 * concurrency + 2,
            },
        }
    }
}

/// Without the headers, which may hold a token.
impl fmt::Debug for Ask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ask")
            .field("head", &self.head)
            .field("path", &self.path)
            .field("query", &self.query)
            .field("kind", &self.kind)
            .field("only_if_cached", &self.only_if_cached)
            .finish_non_exhaustive()
    }
}

/// Content does not run as code on an origin that is not its own.
///
/// The path-gateway specification demands the refusal of service workers for `/ipfs/{cid}` without a
/// slash; here none of the kinds of scripts that browsers name is answered on the gateway's origin.
fn refuse_scripts(parts: &Parts, place: Place) -> Result<(), Refusal> {
    let is = |name: &str, values: &[&str]| {
        let value = parts.headers.get(name).map(http::HeaderValue::as_bytes);
        value.is_some_and(|value| values.iter().any(|own| own.as_bytes() == value))
    };
    let worker = is("service-worker", &["script"]);
    if worker && place == Place::Path {
        return Err(Refusal::bad(
            "no service worker is registered on a gateway's origin",
        ));
    }
    let script = [
        "script",
        "worker",
        "sharedworker",
        "serviceworker",
        "audioworklet",
        "paintworklet",
        "manifest",
    ];
    if place == Place::Path && is("sec-fetch-dest", &script) {
        return Err(Refusal::new(
            StatusCode::FORBIDDEN,
            "content does not run as code on a gateway's origin",
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_token_is_shown() {
        let cid = "bafkqaaa";
        let request = http::Request::get(format!("/ipfs/{cid}?format=raw"));
        let request = request.header("authorization", "Bearer secret-token");
        let (parts, ()) = request.body(()).unwrap().into_parts();
        let ask = Ask::read(parts, &Options::default()).unwrap();
        assert_eq!(ask.headers()["authorization"], "Bearer secret-token");
        let shown = format!("{ask:?}");
        assert!(shown.contains(cid) && !shown.contains("secret"), "{shown}");
    }
}
