//! A CAR, from bytes as they come.

use bytes::Bytes;
use cidbucket_blockstore::Block;

use super::header::{self, Known};
use super::input::Input;
use super::{CarError, CarHeader, CarLimits, section, v2};

/// What a CAR consists of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The header: once, and first.
    Header(CarHeader),
    /// A block, checked against its section's CID, which it keeps.
    ///
    /// Its bytes are a slice of what was fed where they are a quarter of it or more. So whoever
    /// keeps blocks feeds pieces that are no slices of much larger buffers themselves.
    Block(Block),
}

/// Reads a `CARv1` or `CARv2` from bytes that come in pieces of any size.
///
/// It does no I/O: [`CarDecoder::feed`] it, take [`CarDecoder::next`] until it wants more, and tell
/// it of the end by [`CarDecoder::finish`].
///
/// ```
/// use cidbucket_blockstore::Block;
/// use cidbucket_dag::car::{self, CarDecoder, CarLimits, Event};
///
/// let block = Block::raw("hello");
/// let mut decoder = CarDecoder::new(CarLimits::default());
/// decoder.feed(car::header(&[*block.cid()]));
/// for piece in car::section(&block) {
///     decoder.feed(piece);
/// }
/// assert!(matches!(decoder.next()?, Some(Event::Header(header)) if header.roots == [*block.cid()]));
/// assert_eq!(decoder.next()?, Some(Event::Block(block)));
/// assert_eq!(decoder.next()?, None);
/// decoder.finish()?;
/// # Ok::<(), car::CarError>(())
/// ```
#[derive(Debug)]
pub struct CarDecoder {
    limits: CarLimits,
    input: Input,
    state: State,
    /// Where the payload of a `CARv2` ends.
    payload_end: Option<u64>,
}

#[derive(Debug)]
enum State {
    /// The length of a header comes next.
    HeaderLength,
    Header {
        size: usize,
    },
    V2Header,
    /// Padding of a `CARv2` before its payload.
    Padding {
        until: u64,
    },
    /// The length of a section comes next, or the end.
    SectionLength,
    Section {
        size: usize,
    },
    /// What comes after the payload of a `CARv2`.
    Index,
    Failed(CarError),
}

impl CarDecoder {
    /// A decoder at the beginning of a CAR.
    pub fn new(limits: CarLimits) -> Self {
        Self {
            limits,
            input: Input::default(),
            state: State::HeaderLength,
            payload_end: None,
        }
    }

    /// Hands over the next bytes of the CAR.
    pub fn feed(&mut self, bytes: Bytes) {
        if !matches!(self.state, State::Failed(_)) {
            self.input.push(bytes);
        }
    }

    /// The next part of the CAR; `None` where more bytes are needed.
    ///
    /// # Errors
    /// [`CarError`]. A decoder that failed answers with the same error ever after.
    #[expect(
        clippy::should_implement_trait,
        reason = "None is not the end, so it is no iterator"
    )]
    pub fn next(&mut self) -> Result<Option<Event>, CarError> {
        let outcome = self.advance();
        if let Err(error) = &outcome {
            self.input.clear();
            self.state = State::Failed(error.clone());
        }
        outcome
    }

    /// Tells the decoder, of which [`CarDecoder::next`] wants more, that there is no more.
    ///
    /// # Errors
    /// [`CarError::Truncated`] where the CAR is not whole, and the error it failed with before.
    pub fn finish(&mut self) -> Result<(), CarError> {
        let within = match &self.state {
            State::Failed(error) => return Err(error.clone()),
            State::Index => return Ok(()),
            State::SectionLength if self.input.is_empty() && self.payload_end.is_none() => {
                return Ok(());
            }
            State::HeaderLength | State::Header { .. } | State::V2Header => "header",
            State::SectionLength if self.input.is_empty() => "payload",
            State::Padding { .. } => "payload",
            State::SectionLength | State::Section { .. } => "section",
        };
        Err(CarError::Truncated {
            offset: self.input.offset(),
            within,
        })
    }

    fn advance(&mut self) -> Result<Option<Event>, CarError> {
        loop {
            let at = self.input.begun_at();
            match &self.state {
                State::HeaderLength => {
                    let Some(length) = self.length()? else {
                        return Ok(None);
                    };
                    let size = self.bounded(length, "header", self.limits.max_header)?;
                    self.state = State::Header { size };
                }
                &State::Header { size } => {
                    let Some(bytes) = self.input.take(size) else {
                        return Ok(None);
                    };
                    match (header::parse(&bytes, at, &self.limits)?, self.payload_end) {
                        (Known::V1(roots), payload_end) => {
                            let version = if payload_end.is_some() { 2 } else { 1 };
                            self.state = State::SectionLength;
                            return Ok(Some(Event::Header(CarHeader { version, roots })));
                        }
                        (Known::V2, None) => self.state = State::V2Header,
                        (Known::V2, Some(_)) => {
                            return Err(CarError::Header {
                                offset: at,
                                reason: "the payload of a CARv2 is a CARv1".into(),
                            });
                        }
                    }
                }
                State::V2Header => {
                    let Some(bytes) = self.input.take(v2::LENGTH) else {
                        return Ok(None);
                    };
                    let mut fixed = [0; v2::LENGTH];
                    fixed.copy_from_slice(&bytes);
                    let payload = v2::payload(&fixed, at)?;
                    self.payload_end = Some(payload.end);
                    self.state = State::Padding {
                        until: payload.start,
                    };
                }
                &State::Padding { until } => {
                    let padding = until - at;
                    if self.input.skip(padding) < padding {
                        return Ok(None);
                    }
                    self.state = State::HeaderLength;
                }
                State::SectionLength if self.payload_end == Some(at) => self.state = State::Index,
                State::SectionLength => {
                    let Some(length) = self.length()? else {
                        return Ok(None);
                    };
                    if length == 0 {
                        return Err(CarError::EmptySection { offset: at });
                    }
                    let size = self.bounded(length, "section", self.limits.max_section)?;
                    self.state = State::Section { size };
                }
                &State::Section { size } => {
                    let Some(bytes) = self.input.take(size) else {
                        return Ok(None);
                    };
                    self.state = State::SectionLength;
                    return Ok(Some(Event::Block(section::parse(&bytes, at)?)));
                }
                State::Index => {
                    self.input.skip(u64::MAX - at);
                    return Ok(None);
                }
                State::Failed(error) => return Err(error.clone()),
            }
        }
    }

    fn length(&mut self) -> Result<Option<u64>, CarError> {
        let offset = self.input.begun_at();
        let length = self.input.varint();
        length.map_err(|_| CarError::Length { offset })
    }

    /// A length that was just read, where what it is the length of is not too large and within
    /// the payload.
    fn bounded(&self, size: u64, what: &'static str, limit: usize) -> Result<usize, CarError> {
        let offset = self.input.offset();
        let within = |limit: &usize| size <= *limit as u64;
        if !within(&limit) {
            return Err(CarError::TooLarge {
                offset,
                what,
                size,
                limit,
            });
        }
        if self.payload_end.is_some_and(|end| offset + size > end) {
            return Err(CarError::BeyondPayload { offset });
        }
        Ok(usize::try_from(size).unwrap_or(limit))
    }
}
