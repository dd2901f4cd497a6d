//! Pages of the listing.

use cidbucket_blockstore::Cursor;
use cidbucket_direct::{Link, Listed, Page, Problem};
use futures::StreamExt;

use crate::answer::{self, Answer};
use crate::failure;
use crate::reads::invalid;
use crate::service::{Caller, Head, Service, hold};

/// What a page may take of memory, in bytes: a thousand blocks, as S3 lists them, and their names.
const PAGE: usize = 512 << 10;

impl Service {
    /// `GET` of the listing.
    pub(crate) async fn list(&self, head: &Head, caller: &Caller) -> Result<Answer, Problem> {
        let (_, encoding) = head.encodings()?;
        let cursor = head
            .parameter("cursor")
            .map_or_else(Cursor::start, Cursor::new);
        let share = self.inner.memory.take(PAGE).await?;
        let mut pages = caller.space.store.list(cursor).into_pages();
        let page = match pages.next().await {
            None => Page {
                blocks: Vec::new(),
                foreign: 0,
                cursor: None,
            },
            Some(Ok(page)) => {
                // What the token does not cover is not there for it. The codec of a stored block is
                // not known, so only hashes tell.
                let hashes = caller.capability.hashes.as_ref();
                let blocks = page
                    .blocks
                    .iter()
                    .filter(|listed| {
                        hashes.is_none_or(|hashes| hashes.contains(&listed.cid.hash().code()))
                    })
                    .map(|listed| Listed {
                        cid: Link(listed.cid),
                        size: listed.size,
                    })
                    .collect();
                Page {
                    blocks,
                    foreign: page.foreign,
                    cursor: Some(page.cursor.as_str().to_owned()),
                }
            }
            Some(Err(cidbucket_blockstore::Error::Invalid(_))) => {
                return Err(invalid("`cursor` is none of this store's"));
            }
            Some(Err(error)) => return Err(failure::store(&error)),
        };
        let mut answer = answer::encoded(encoding, encoding.encode(&page));
        hold(&mut answer, share);
        Ok(answer)
    }
}
