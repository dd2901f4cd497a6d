//! A DAG, or a part of one, as a CAR: `application/vnd.ipld.car`.

use std::fmt::Write;
use std::sync::Arc;

use cidbucket_blockstore::{Block, Blockstore};
use cidbucket_dag::{self as dag, EntityBytes, ExportOptions, Scope, unixfs};
use futures::stream::{self, StreamExt};
use http::{HeaderValue, Response, header};

use crate::ask::Ask;
use crate::entity_tag::{EntityTag, IfNoneMatch};
use crate::gateway::not_modified;
use crate::headers::{self, Keep};
use crate::negotiate::{CarParameters, Negotiated};
use crate::owned::owned;
use crate::route::{Route, follow};
use crate::{Audience, Body, Cid, Refusal};

pub(crate) async fn answer(
    ask: &Ask,
    negotiated: &Negotiated,
    parameters: &CarParameters,
    store: Arc<dyn Blockstore>,
    audience: Audience,
) -> Result<Response<Body>, Refusal> {
    let tag = EntityTag::weak(ask.root(), ".car", &depends_on(ask, parameters));
    let condition = tag.none_match(&ask.headers);
    let mut roots = ask.root().to_string();
    let mut answer = if condition == IfNoneMatch::Same {
        // A DAG never changes: whoever has the tag has the CAR.
        not_modified()
    } else {
        let route = follow(&*store, &ask.path).await?;
        roots = route.roots();
        if ask.head || condition == IfNoneMatch::Any {
            if !store.has(&route.target.root).await? {
                return Err(Refusal::not_found());
            }
            if condition == IfNoneMatch::Any {
                not_modified()
            } else {
                Response::new(Body::unknown())
            }
        } else {
            Response::new(body(route, parameters, store).await?)
        }
    };
    let found = answer.status().is_success();
    let headers = answer.headers_mut();
    headers::keep(headers, tag, Keep::ForEver, audience);
    headers::origin(headers, &ask.path, &roots, negotiated);
    if found {
        let name = ask.query.get("filename");
        let name = name.unwrap_or_else(|| format!("{}.car", ask.root()).into());
        headers::inert(headers, &name);
        let media_type = if parameters.dups {
            "application/vnd.ipld.car; version=1; order=dfs; dups=y"
        } else {
            "application/vnd.ipld.car; version=1; order=dfs; dups=n"
        };
        for (name, value) in [
            (header::CONTENT_TYPE, media_type),
            // Its parts are asked for by `entity-bytes`.
            (header::ACCEPT_RANGES, "none"),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
    Ok(answer)
}

/// All that the bytes of a CAR depend on, beside its root: what a client has of it under one tag is
/// of no use under another.
fn depends_on(ask: &Ask, parameters: &CarParameters) -> String {
    let CarParameters { dups, scope } = parameters;
    let mut of = format!("{}\0dups={dups}\0scope=", ask.path.below());
    let written = match scope {
        Scope::Block => write!(of, "block"),
        Scope::All => write!(of, "all"),
        Scope::Entity(None) => write!(of, "entity"),
        Scope::Entity(Some(EntityBytes { from, to })) => write!(of, "entity\0{from}:{to:?}"),
    };
    written.expect("a String takes all");
    of
}

/// The CAR, whose first block is there.
async fn body(
    route: Route,
    parameters: &CarParameters,
    store: Arc<dyn Blockstore>,
) -> Result<Body, Refusal> {
    let target = route.target.root;
    let (path, scope, dups) = (route.target, parameters.scope, parameters.dups);
    let mut blocks = owned(store, move |store| {
        dag::export(store, path, scope, ExportOptions { dups })
    });
    // Until the first block is there it can still be said that it is not.
    let first = blocks.next().await.transpose()?;
    if let (Scope::Entity(Some(bytes)), Some(first)) = (parameters.scope, &first) {
        refuse_outside(&target, first, bytes)?;
    }
    let proof = route.blocks.into_iter().filter(|block| !block.is_inline());
    let known = stream::iter(proof.chain(first).map(Ok));
    let car = dag::car::write(&[target], known.chain(blocks));
    Ok(Body::stream(car.boxed(), None))
}

/// `entity-bytes` of which it is known that there are none: 400, as the specification would have it.
fn refuse_outside(target: &Cid, first: &Block, bytes: EntityBytes) -> Result<(), Refusal> {
    if first.cid() != target {
        return Ok(());
    }
    let Ok(node) = unixfs::Node::of(first) else {
        return Ok(()); // what is no UnixFS has no bytes, and the parameter no meaning
    };
    let size = node.size().filter(|_| node.kind().is_file());
    if size.is_some_and(|size| is_outside(bytes, size)) {
        return Err(Refusal::bad("the file has none of the entity-bytes"));
    }
    Ok(())
}

/// Whether a range begins behind the end, or ends before the beginning. One that is empty but within
/// the file is no mistake.
fn is_outside(EntityBytes { from, to }: EntityBytes, size: u64) -> bool {
    let behind = u64::try_from(from).is_ok_and(|from| from > 0 && from >= size);
    let before = to.is_some_and(|to| to < 0 && to.unsigned_abs() > size);
    behind || before
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_without_a_byte() {
        for (from, to, size, outside) in [
            (0, None, 0, false),
            (0, None, 10, false),
            (9, None, 10, false),
            (10, None, 10, true),
            (i64::MAX, None, 10, true),
            (-5, None, 10, false),
            (-99, Some(-3), 10, false),
            (0, Some(-10), 10, false),
            (0, Some(-11), 10, true),
            (i64::MIN, Some(i64::MIN), 10, true),
        ] {
            let bytes = EntityBytes { from, to };
            assert_eq!(is_outside(bytes, size), outside, "{bytes:?} of {size}");
        }
    }
}
