//! Lists the blocks of a bucket, over several ranges of keys at once.
//!
//! One request is enough for a small store. Where the first page is not the last, the rest is cut
//! into ranges that are listed side by side, and pages come as they arrive. The cursor names what
//! is left of each range; at most one page of each is held.
//!
//! What lies in the service's own folder is neither shown nor counted. A range that comes by it goes
//! on behind it at once, so that the folder costs one request however much lies there.

use std::collections::BTreeMap;

use cidbucket_blockstore::{Block, Cursor, Error, Listed, Listing, Page, Report, Result, raw_cid};
use cidbucket_layout::{KeyRange, Keys};
use cidbucket_sigv4::encode_path;
use futures::future::BoxFuture;
use futures::stream::{self, FuturesUnordered, Stream, StreamExt};
use percent_encoding::percent_decode_str;

use super::S3Blockstore;
use crate::client::S3Client;
use crate::operation::ListObjectsV2;
use crate::xml::ListPage;

/// Most ranges that are listed at once.
const MAX_RANGES: usize = 16;
/// What cursors begin with.
const VERSION: &str = "v1";

pub(super) fn list(store: &S3Blockstore, from: Cursor) -> Listing<'_> {
    let walk = match parse(&from, store.keys.list_prefix()) {
        Ok(left) => Ok(Walk::new(store, left, from.is_start())),
        Err(error) => Err(error),
    };
    Listing::new(from, pages(walk))
}

fn pages(walk: Result<Walk<'_>>) -> impl Stream<Item = Result<Page>> + Send + '_ {
    stream::unfold(Some(walk), |walk| async {
        match walk? {
            Err(error) => Some((Err(error), None)),
            Ok(mut walk) => match walk.next_page().await? {
                Ok(page) => Some((Ok(page), Some(Ok(walk)))),
                Err(error) => Some((Err(error), None)),
            },
        }
    })
}

/// A listing under way.
struct Walk<'a> {
    client: &'a S3Client,
    keys: &'a Keys,
    parallel: usize,
    /// What is left of each range, by its number. Pages that were not given out are left.
    left: BTreeMap<usize, KeyRange>,
    /// Ranges of which no page is under way.
    waiting: Vec<usize>,
    requests: FuturesUnordered<BoxFuture<'a, Fetched>>,
    /// The next page is the first of all.
    first: bool,
}

/// How a range goes on.
enum More {
    /// With the next page.
    Token(String),
    /// Behind the service's own folder, in which the page ended.
    PastControl,
}

/// A page of a range.
struct Fetched {
    range: usize,
    page: Result<ListPage>,
}

impl<'a> Walk<'a> {
    fn new(store: &'a S3Blockstore, left: Vec<KeyRange>, first: bool) -> Self {
        let left: BTreeMap<_, _> = left.into_iter().enumerate().collect();
        Self {
            client: &store.client,
            keys: &store.keys,
            parallel: store.concurrency.min(MAX_RANGES),
            waiting: left.keys().rev().copied().collect(),
            left,
            requests: FuturesUnordered::new(),
            first,
        }
    }

    async fn next_page(&mut self) -> Option<Result<Page>> {
        loop {
            while self.requests.len() < self.parallel
                && let Some(range) = self.waiting.pop()
            {
                let after = self.left[&range].after.clone();
                self.fetch(range, after, None);
            }
            let Fetched { range, page } = self.requests.next().await?;
            let (page, more) = match page.and_then(|page| self.take(range, page)) {
                Ok(taken) => taken,
                Err(error) => return Some(Err(error)),
            };
            match more {
                None => {
                    self.left.remove(&range);
                }
                Some(_) if std::mem::take(&mut self.first) => self.split(range),
                Some(More::Token(token)) => self.fetch(range, None, Some(token)),
                Some(More::PastControl) => {
                    let after = self.left[&range].after.clone();
                    self.fetch(range, after, None);
                }
            }
            let cursor = print(self.left.values());
            let is_empty = page.blocks.is_empty() && page.foreign == 0;
            if !is_empty || self.left.is_empty() {
                return Some(Ok(Page { cursor, ..page }));
            }
        }
    }

    /// Asks for a page of a range.
    fn fetch(&self, range: usize, after: Option<String>, token: Option<String>) {
        let (client, prefix) = (self.client, self.keys.list_prefix());
        self.requests.push(Box::pin(async move {
            let mut list = ListObjectsV2::with_prefix(prefix);
            list.start_after = after.as_deref();
            list.continuation_token = token.as_deref();
            let page = client.list_objects_v2(&list).await;
            Fetched { range, page }
        }));
    }

    /// The blocks of a page that lie in its range, and how the range goes on.
    fn take(&mut self, range: usize, listed: ListPage) -> Result<(Page, Option<More>)> {
        let left = self.left.get_mut(&range).expect("a range under way");
        let mut page = Page {
            blocks: Vec::with_capacity(listed.objects.len()),
            foreign: 0,
            cursor: Cursor::start(),
        };
        let mut ended = false;
        let mut in_control = false;
        for object in listed.objects {
            in_control = self.keys.is_control(&object.key);
            if in_control {
                if left.until.as_ref().is_some_and(|until| object.key > *until) {
                    ended = true;
                    break;
                }
                // The names in there are nobody's business: no cursor holds one.
                continue;
            }
            if left
                .after
                .as_ref()
                .is_some_and(|after| object.key <= *after)
            {
                return Err(Error::Protocol(
                    Report::new(
                        "ListObjectsV2",
                        "a page repeats keys of the page before, or goes back behind them",
                    )
                    .with_key(object.key)
                    .into(),
                ));
            }
            if left.until.as_ref().is_some_and(|until| object.key > *until) {
                ended = true;
                break;
            }
            match self.keys.multihash(&object.key).map(raw_cid) {
                // The key may well name a hash that no store of ours would hold.
                Some(cid) if matches!(Block::inline(&cid), Ok(None)) => page.blocks.push(Listed {
                    cid,
                    size: object.size,
                    modified: object.modified,
                }),
                _ => page.foreign += 1,
            }
            left.after = Some(object.key);
        }
        // Where these lie is not known exactly: the range that ends here leaves them to the next.
        if !ended {
            page.foreign += listed.undecodable;
        }
        let next = listed.next_token.filter(|_| listed.truncated && !ended);
        let more = match next {
            Some(token) if in_control => match self.keys.past_control() {
                past if past > left.after => {
                    left.after = past;
                    Some(More::PastControl)
                }
                // What goes on here is behind all that we write.
                _ => Some(More::Token(token)),
            },
            next => next.map(More::Token),
        };
        Ok((page, more))
    }

    /// Cuts what is left of the only range.
    fn split(&mut self, range: usize) {
        let whole = self.left.remove(&range).expect("a range under way");
        let after = whole.after.as_deref().unwrap_or_default();
        let cut = self
            .keys
            .ranges(self.parallel)
            .into_iter()
            .filter(|part| part.until.as_deref().is_none_or(|until| until > after))
            .map(|part| KeyRange {
                after: part.after.max(whole.after.clone()),
                until: part.until,
            });
        self.left = cut.enumerate().collect();
        self.waiting = self.left.keys().rev().copied().collect();
    }
}

/// What is left to list from a cursor on.
fn parse(cursor: &Cursor, prefix: &str) -> Result<Vec<KeyRange>> {
    if cursor.is_start() {
        return Ok(vec![KeyRange {
            after: None,
            until: None,
        }]);
    }
    let invalid = || {
        Error::Invalid(Report::new("list", "the cursor is none of this store's listings").into())
    };
    let key = |text: &str| {
        if text.is_empty() {
            return Ok(None);
        }
        let key = percent_decode_str(text)
            .decode_utf8()
            .map_err(|_| invalid())?;
        if key.starts_with(prefix) {
            Ok(Some(key.into_owned()))
        } else {
            Err(invalid())
        }
    };
    let mut parts = cursor.as_str().split(',');
    if parts.next() != Some(VERSION) {
        return Err(invalid());
    }
    parts
        .map(|part| {
            let (after, until) = part.split_once(':').ok_or_else(invalid)?;
            Ok(KeyRange {
                after: key(after)?,
                until: key(until)?,
            })
        })
        .collect()
}

fn print<'a>(left: impl Iterator<Item = &'a KeyRange>) -> Cursor {
    let mut text = String::from(VERSION);
    for range in left {
        text.push(',');
        text.push_str(&encode_path(range.after.as_deref().unwrap_or_default()));
        text.push(':');
        text.push_str(&encode_path(range.until.as_deref().unwrap_or_default()));
    }
    Cursor::new(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_round_trip() {
        let range = |after: Option<&str>, until: Option<&str>| KeyRange {
            after: after.map(str::to_owned),
            until: until.map(str::to_owned),
        };
        for left in [
            vec![],
            vec![range(None, Some("p/a,b:c%d é/\n"))],
            vec![range(Some("p/a"), Some("p/b")), range(Some("p/b"), None)],
        ] {
            let cursor = print(left.iter());
            assert!(cursor.as_str().is_ascii());
            assert_eq!(parse(&cursor, "p/").unwrap(), left, "{cursor}");
        }
    }

    #[test]
    fn other_text_is_no_cursor() {
        for text in ["x", "v2,a:b", "v1,a", "v1,q/a:", "v1,p/%ff:", "v1,"] {
            assert!(
                matches!(parse(&Cursor::new(text), "p/"), Err(Error::Invalid(_))),
                "{text}"
            );
        }
    }
}
