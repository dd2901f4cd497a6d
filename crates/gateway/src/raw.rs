//! A block as it is: `application/vnd.ipld.raw`.

use std::borrow::Cow;

use bytes::Bytes;
use cidbucket_blockstore::{Block, Blockstore};
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use crate::ask::Ask;
use crate::byte_range::{Wanted, content_range, wanted};
use crate::entity_tag::{EntityTag, IfNoneMatch};
use crate::gateway::not_modified;
use crate::headers::{self, Keep};
use crate::negotiate::{Negotiated, RAW};
use crate::{Audience, Body, Refusal};

/// Room for the headers of an answer, in one piece: those set here, and those of the server.
const HEADERS: usize = 20;

pub(crate) async fn answer(
    ask: Ask,
    negotiated: &Negotiated,
    store: &dyn Blockstore,
    audience: Audience,
) -> Result<Response<Body>, Refusal> {
    let cid = ask.root();
    let tag = EntityTag::strong(&ask.path.root_text, ".raw");
    let condition = tag.none_match(&ask.headers);
    let mut answer = match condition {
        // Blocks never change: whoever has the tag has the block.
        IfNoneMatch::Same => not_modified(),
        _ => match Block::inline(cid)? {
            Some(block) if condition == IfNoneMatch::Other => of(&ask, &tag, block.into_data()),
            Some(_) => not_modified(),
            None if ask.head || condition == IfNoneMatch::Any => {
                let size = store.size(cid).await?.ok_or_else(Refusal::not_found)?;
                if condition == IfNoneMatch::Any {
                    not_modified()
                } else {
                    let mut answer = Response::new(Body::unknown());
                    answer
                        .headers_mut()
                        .insert(header::CONTENT_LENGTH, size.into());
                    answer
                }
            }
            None => {
                let block = store.get(cid).await?.ok_or_else(Refusal::not_found)?;
                of(&ask, &tag, block.into_data())
            }
        },
    };
    let outside = answer.status() == StatusCode::RANGE_NOT_SATISFIABLE;
    // The request's own map, emptied: a server has just made it, and has the answer's afterwards.
    let mut room = ask.headers;
    room.clear();
    room.reserve(HEADERS);
    let headers = answer.headers_mut();
    room.extend(std::mem::replace(headers, HeaderMap::new()));
    *headers = room;
    if !outside {
        headers::keep(headers, tag, Keep::ForEver, audience);
    }
    headers::origin(headers, &ask.path, &ask.path.root_text, negotiated);
    if answer.status().is_success() {
        let headers = answer.headers_mut();
        let name = ask
            .query
            .get("filename")
            .unwrap_or_else(|| Cow::Owned([&*ask.path.root_text, ".bin"].concat()));
        headers::inert(headers, &name);
        for (name, value) in [
            (header::CONTENT_TYPE, RAW),
            (header::ACCEPT_RANGES, "bytes"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    Ok(answer)
}

/// The bytes, or the part of them that is asked for.
fn of(ask: &Ask, tag: &EntityTag, data: Bytes) -> Response<Body> {
    let size = data.len() as u64;
    if ask.head {
        let mut answer = Response::new(Body::unknown());
        answer
            .headers_mut()
            .insert(header::CONTENT_LENGTH, size.into());
        return answer;
    }
    let range = if tag.if_range(&ask.headers) {
        wanted(&ask.headers, size)
    } else {
        Wanted::All
    };
    match range {
        Wanted::All => Response::new(Body::from(data)),
        Wanted::Outside => outside(size),
        Wanted::Part(part) => {
            let index = |at: u64| usize::try_from(at).expect("within a block");
            let bytes = data.slice(index(part.start)..index(part.end));
            let mut answer = Response::new(Body::from(bytes));
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = content_range(Some(&part), size);
            answer.headers_mut().insert(header::CONTENT_RANGE, range);
            answer
        }
    }
}

/// 416.
pub(crate) fn outside(size: u64) -> Response<Body> {
    let refusal = Refusal::new(
        StatusCode::RANGE_NOT_SATISFIABLE,
        format!("there are {size} bytes, and none in that range"),
    );
    let mut answer = refusal.answer();
    let range = content_range(None, size);
    answer.headers_mut().insert(header::CONTENT_RANGE, range);
    answer
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use cidbucket_blockstore::MemoryBlockstore;
    use futures::executor::block_on;

    use crate::{Audience, Gateway};

    use super::*;

    #[test]
    fn no_header_of_the_request_is_answered() {
        let block = Block::raw("abc");
        let store = MemoryBlockstore::new();
        block_on(store.put(&block)).unwrap();
        let request = http::Request::get(format!("/ipfs/{}?format=raw", block.cid()))
            .header("range", "bytes=1-1")
            .header("x-own", "a")
            .header("x-own", "b")
            .header("vary", "x-own");
        let (request, ()) = request.body(()).unwrap().into_parts();
        let gateway = Gateway::default();
        let answer = block_on(gateway.handle(request, Arc::new(store), Audience::Public));
        assert_eq!(answer.body().whole().unwrap(), "b");
        let headers = answer.headers();
        assert_eq!(headers["content-range"], "bytes 1-1/3");
        for name in ["range", "x-own", "vary"] {
            assert!(!headers.contains_key(name), "{name}");
        }
    }
}
