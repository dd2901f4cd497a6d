//! Listing a store: every block once, foreign keys counted, errors reported, resumable.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::SystemTime;

use futures::stream::{BoxStream, Stream, StreamExt};

use crate::{Cid, Result};

/// One block of a listing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed {
    /// `CIDv1`, codec `raw`: a store knows a block by its multihash only.
    pub cid: Cid,
    /// Size in bytes.
    pub size: u64,
    /// When the block was last written, where the store keeps that.
    pub modified: Option<SystemTime>,
}

/// A run of a listing, with the place after it.
#[derive(Debug, Clone)]
pub struct Page {
    /// Blocks, in no promised order.
    pub blocks: Vec<Listed>,
    /// Keys met beside them that are no block of the store's layout. They were left alone.
    pub foreign: u64,
    /// Where a listing that is to go on after this page starts.
    pub cursor: Cursor,
}

/// A place in a listing, to resume it from. Opaque, printable, valid for the store it came from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor(String);

impl Cursor {
    /// The beginning.
    pub fn start() -> Self {
        Self::default()
    }

    /// A cursor from its text form. A store refuses text that is none of its cursors.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text form; empty for the beginning.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the beginning.
    pub fn is_start(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A stream of the blocks of a store.
///
/// It ends after the last block, or after one error; nothing is left out silently. After an error
/// a new listing can be started at [`Listing::cursor`]; it may repeat blocks of the page that was
/// under way, and misses none.
pub struct Listing<'a> {
    pages: BoxStream<'a, Result<Page>>,
    page: std::vec::IntoIter<Listed>,
    after_page: Cursor,
    cursor: Cursor,
    foreign: u64,
    ended: bool,
}

impl<'a> Listing<'a> {
    /// A listing from its pages, beginning at `from`.
    pub fn new(from: Cursor, pages: impl Stream<Item = Result<Page>> + Send + 'a) -> Self {
        Self {
            pages: pages.boxed(),
            page: Vec::new().into_iter(),
            after_page: from.clone(),
            cursor: from,
            foreign: 0,
            ended: false,
        }
    }

    /// Where to resume: behind the last page of which every block was taken.
    pub fn cursor(&self) -> &Cursor {
        if self.page.len() == 0 {
            &self.after_page
        } else {
            &self.cursor
        }
    }

    /// Foreign keys met so far.
    pub fn foreign(&self) -> u64 {
        self.foreign
    }

    /// The pages themselves, for callers that save the cursor as they go. What is left of a page of
    /// which blocks were taken already does not come again.
    pub fn into_pages(self) -> BoxStream<'a, Result<Page>> {
        self.pages
    }
}

impl Stream for Listing<'_> {
    type Item = Result<Listed>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(listed) = self.page.next() {
                return Poll::Ready(Some(Ok(listed)));
            }
            self.cursor = self.after_page.clone();
            if self.ended {
                return Poll::Ready(None);
            }
            match futures::ready!(self.pages.poll_next_unpin(cx)) {
                Some(Ok(page)) => {
                    self.foreign += page.foreign;
                    self.after_page = page.cursor;
                    self.page = page.blocks.into_iter();
                }
                Some(Err(error)) => {
                    self.ended = true;
                    return Poll::Ready(Some(Err(error)));
                }
                None => {
                    self.ended = true;
                    return Poll::Ready(None);
                }
            }
        }
    }
}

impl fmt::Debug for Listing<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing")
            .field("cursor", self.cursor())
            .field("foreign", &self.foreign)
            .finish_non_exhaustive()
    }
}
