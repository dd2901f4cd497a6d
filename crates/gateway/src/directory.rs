//! Directories for people: a page that lists what is in one.

use std::fmt::Write;
use std::sync::Arc;

use bytes::Bytes;
use cidbucket_blockstore::Blockstore;
use cidbucket_dag::unixfs::{self, Entry};
use futures::stream::{self, StreamExt};
use http::{HeaderValue, Response, header};

use crate::content_path::encode;
use crate::entity_tag::{EntityTag, IfNoneMatch};
use crate::file::Shown;
use crate::gateway::not_modified;
use crate::headers::{self, Keep};
use crate::owned::owned;
use crate::{Body, Cid};

/// The page has no script, and its style is its own.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; \
     form-action 'none'; frame-ancestors 'self'";
/// Another look is another page.
const EDITION: &str = concat!(env!("CARGO_PKG_VERSION"), "-1");

pub(crate) fn answer(
    shown: &Shown<'_>,
    cid: Cid,
    roots: &str,
    store: Arc<dyn Blockstore>,
) -> Response<Body> {
    let ask = shown.ask;
    let of = format!("{EDITION}\0{}", ask.path.below());
    let tag = EntityTag::weak(&cid, ".directory", &of);
    let mut answer = if tag.none_match(&ask.headers) != IfNoneMatch::Other {
        not_modified()
    } else if ask.head {
        Response::new(Body::unknown())
    } else {
        Response::new(page(shown, cid, store))
    };
    let found = answer.status().is_success();
    let headers = answer.headers_mut();
    headers::keep(headers, tag, Keep::Week, shown.audience);
    headers::origin(headers, &ask.path, roots, shown.negotiated);
    if found {
        for (name, value) in [
            (header::CONTENT_TYPE, "text/html; charset=utf-8"),
            (header::CONTENT_SECURITY_POLICY, POLICY),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    answer
}

/// The page, entry by entry, however many there are.
fn page(shown: &Shown<'_>, cid: Cid, store: Arc<dyn Blockstore>) -> Body {
    let path = &shown.ask.path;
    let title = match path.name() {
        Some(name) => escape(name),
        None => cid.to_string(),
    };
    let mut head = format!(
        "<!doctype html>\n<html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{title}</title>\n<style>{STYLE}</style>\n\
         <h1>{title}</h1>\n<p><code>{cid}</code></p>\n<table>\n\
         <thead><tr><th>Name<th>CID<th>Bytes</thead>\n"
    );
    if !path.segments.is_empty() {
        head.push_str("<tr><td><a href=\"../\">..</a><td><td>\n");
    }
    let entries = owned(store, move |store| unixfs::entries(store, cid));
    let rows = entries.ready_chunks(64).map(|entries| {
        let mut rows = String::new();
        for entry in entries {
            row(&mut rows, &entry?);
        }
        Ok(Bytes::from(rows))
    });
    let head = stream::iter([Ok(Bytes::from(head))]);
    let foot = stream::iter([Ok(Bytes::from_static(b"</table>\n"))]);
    Body::stream(head.chain(rows).chain(foot).boxed(), None)
}

fn row(rows: &mut String, entry: &Entry) {
    let size = entry
        .tsize
        .map_or_else(String::new, |size| size.to_string());
    // `./` keeps a name with a colon from being a URL's scheme.
    let written = writeln!(
        rows,
        "<tr><td><a href=\"./{}\">{}</a><td><code>{}</code><td>{size}",
        encode(&entry.name),
        escape(&entry.name),
        entry.cid,
    );
    written.expect("a String takes all");
}

/// Text in HTML, and in quoted attributes.
fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;\
     padding:0 1rem}h1{overflow-wrap:anywhere}table{border-collapse:collapse;width:100%}\
     th{text-align:left}td,th{padding:.2rem 1rem .2rem 0;vertical-align:top}\
     td:first-child{overflow-wrap:anywhere}td:last-child,th:last-child{text-align:right}\
     code{font-size:.8rem;color:#555;overflow-wrap:anywhere}";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_name_breaks_out_of_the_page() {
        assert_eq!(escape("<b a='\"&"), "&lt;b a=&#39;&quot;&amp;");
    }
}
