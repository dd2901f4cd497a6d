//! The listing, page by page through the service.

use std::sync::Arc;

use cidbucket_blockstore::{Block, Cursor, Error, Listed, Listing, Page, Report, Result};
use futures::stream;

use crate::core::Core;

/// What our cursors begin with where a service's follows: so that its end can be told from any.
const AT: &str = "at:";
/// The cursor behind the last page.
const END: &str = "end";

/// Where a listing goes on.
enum Place {
    Start,
    At(String),
    End,
}

pub(crate) fn list<'a>(core: Arc<Core>, from: Cursor) -> Listing<'a> {
    let begin = parse(&from);
    let pages = stream::unfold(Some((core, begin)), |state| async {
        let (core, place) = state?;
        let cursor = match place {
            Ok(Place::End) => return None,
            Ok(Place::Start) => None,
            Ok(Place::At(cursor)) => Some(cursor),
            Err(error) => return Some((Err(error), None)),
        };
        let asked = core.service.list(cursor.as_deref()).await;
        match asked.and_then(|page| take(page, cursor.as_deref())) {
            Ok((page, next)) => Some((Ok(page), Some((core, Ok(next))))),
            Err(error) => Some((Err(error), None)),
        }
    });
    Listing::new(from, pages)
}

/// The page, and where to go on after it.
fn take(page: cidbucket_direct::Page, asked: Option<&str>) -> Result<(Page, Place)> {
    let protocol = |message: &'static str| Error::Protocol(Report::new("list", message).into());
    let blocks = page.blocks.into_iter().map(|listed| {
        let cid = listed.cid.0;
        match Block::inline(&cid) {
            Ok(None) => Ok(Listed {
                cid,
                size: listed.size,
                modified: None,
            }),
            _ => Err(protocol("the service lists what cannot be stored")),
        }
    });
    let next = match page.cursor {
        None => Place::End,
        Some(cursor) if cursor.is_empty() || Some(&*cursor) == asked => {
            return Err(protocol("the service's listing does not go on"));
        }
        Some(cursor) => Place::At(cursor),
    };
    let page = Page {
        blocks: blocks.collect::<Result<_>>()?,
        foreign: page.foreign,
        cursor: Cursor::new(match &next {
            Place::At(cursor) => format!("{AT}{cursor}"),
            Place::Start | Place::End => END.to_owned(),
        }),
    };
    Ok((page, next))
}

fn parse(cursor: &Cursor) -> Result<Place> {
    match cursor.as_str() {
        "" => Ok(Place::Start),
        END => Ok(Place::End),
        text => match text.strip_prefix(AT) {
            Some(text) if !text.is_empty() => Ok(Place::At(text.to_owned())),
            _ => {
                let message = "the cursor is none of this store's listings";
                Err(Error::Invalid(Report::new("list", message).into()))
            }
        },
    }
}
