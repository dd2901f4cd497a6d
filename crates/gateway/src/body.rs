//! The body of an answer: bytes that are there, or a stream of them that may be cut off.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use cidbucket_blockstore::BoxStream;
use cidbucket_dag::DagError;
use futures::stream::StreamExt;
use http_body::{Frame, SizeHint};

/// The body of an answer.
///
/// A stream that ends with an error is to be *cut off*: the connection must not end it as if it were
/// whole. HTTP servers such as hyper do so by themselves: in HTTP/1.1 the last chunk never comes, in
/// HTTP/2 the stream is reset.
pub struct Body(Kind);

enum Kind {
    Whole(Bytes),
    Stream {
        stream: BoxStream<'static, Result<Bytes, CutOff>>,
        left: Option<u64>,
    },
}

/// Why a stream ended before its time. The particulars are in the log, not here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CutOff;

impl Body {
    /// Nothing.
    pub const fn empty() -> Self {
        Self(Kind::Whole(Bytes::new()))
    }

    /// None, of an answer to HEAD: nothing is said of its length.
    pub(crate) fn unknown() -> Self {
        Self(Kind::Stream {
            stream: futures::stream::empty().boxed(),
            left: None,
        })
    }

    /// A stream; `length` where it is known how many bytes it has. A stream of another length than
    /// was said is cut off, or ends there.
    pub(crate) fn stream(
        stream: BoxStream<'static, Result<Bytes, DagError>>,
        length: Option<u64>,
    ) -> Self {
        let stream = stream.map(|item| {
            item.map_err(|error| {
                tracing::warn!(%error, "an answer is cut off");
                CutOff
            })
        });
        Self(Kind::Stream {
            stream: stream.boxed(),
            left: length,
        })
    }

    /// The bytes, where they are all there.
    pub fn whole(&self) -> Option<&Bytes> {
        match &self.0 {
            Kind::Whole(bytes) => Some(bytes),
            Kind::Stream { .. } => None,
        }
    }

    /// The same body, which holds on to something until the connection has taken it.
    #[must_use]
    pub fn holding<T: Send + 'static>(self, what: T) -> Self {
        struct Held<T> {
            bytes: Bytes,
            _what: T,
        }
        impl<T> AsRef<[u8]> for Held<T> {
            fn as_ref(&self) -> &[u8] {
                &self.bytes
            }
        }
        match self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => Self(Kind::Whole(bytes)),
            Kind::Whole(bytes) => Self(Kind::Whole(Bytes::from_owner(Held { bytes, _what: what }))),
            Kind::Stream { stream, left } => {
                let mut held = (stream, what);
                let stream = futures::stream::poll_fn(move |cx| {
                    let (stream, _) = &mut held;
                    stream.poll_next_unpin(cx)
                });
                Self(Kind::Stream {
                    stream: stream.boxed(),
                    left,
                })
            }
        }
    }

    /// The same body; `seen` is told of all that happens to a stream.
    #[must_use]
    pub fn watched(self, mut seen: impl FnMut(Seen<'_>) + Send + 'static) -> Self {
        match self.0 {
            Kind::Stream { mut stream, left } => {
                let stream = futures::stream::poll_fn(move |cx| {
                    seen(Seen::Asked);
                    let polled = stream.poll_next_unpin(cx);
                    if let Poll::Ready(item) = &polled {
                        seen(match item {
                            Some(Ok(bytes)) => Seen::Given(bytes),
                            Some(Err(CutOff)) => Seen::CutOff,
                            None => Seen::Ended,
                        });
                    }
                    polled
                });
                Self(Kind::Stream {
                    stream: stream.boxed(),
                    left,
                })
            }
            whole @ Kind::Whole(_) => Self(whole),
        }
    }
}

/// What happens to a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen<'a> {
    /// The connection can take more.
    Asked,
    /// It was given these bytes.
    Given(&'a Bytes),
    /// It is whole.
    Ended,
    /// It is not, and nothing more comes.
    CutOff,
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = CutOff;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, CutOff>>> {
        match &mut self.0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Stream { stream, left } => {
                let item = futures::ready!(stream.as_mut().poll_next(cx));
                Poll::Ready(match (item, left) {
                    (None, Some(left @ 1..)) => {
                        tracing::warn!(left, "an answer is shorter than was said");
                        Some(Err(CutOff))
                    }
                    (None, _) => None,
                    (Some(Err(error)), _) => Some(Err(error)),
                    (Some(Ok(bytes)), None) => Some(Ok(Frame::data(bytes))),
                    (Some(Ok(bytes)), Some(left)) => {
                        let Some(rest) = left.checked_sub(bytes.len() as u64) else {
                            tracing::warn!("an answer is longer than was said");
                            return Poll::Ready(Some(Err(CutOff)));
                        };
                        *left = rest;
                        Some(Ok(Frame::data(bytes)))
                    }
                })
            }
        }
    }

    fn is_end_stream(&self) -> bool {
        matches!(&self.0, Kind::Whole(bytes) if bytes.is_empty())
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Stream {
                left: Some(left), ..
            } => SizeHint::with_exact(*left),
            Kind::Stream { left: None, .. } => SizeHint::default(),
        }
    }
}

impl<T: Into<Bytes>> From<T> for Body {
    fn from(bytes: T) -> Self {
        Self(Kind::Whole(bytes.into()))
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Kind::Whole(bytes) => write!(f, "Body({} bytes)", bytes.len()),
            Kind::Stream {
                left: Some(left), ..
            } => write!(f, "Body({left} bytes to come)"),
            Kind::Stream { left: None, .. } => f.write_str("Body(a stream)"),
        }
    }
}

impl fmt::Display for CutOff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the answer could not be given whole")
    }
}

impl std::error::Error for CutOff {}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use futures::executor::block_on;
    use futures::stream;
    use http_body_util::BodyExt;

    use super::*;

    fn of(items: Vec<Result<&'static str, DagError>>, length: Option<u64>) -> Body {
        let items = items
            .into_iter()
            .map(|item| item.map(|text| Bytes::from_static(text.as_bytes())));
        Body::stream(stream::iter(items).boxed(), length)
    }

    fn collect(body: Body) -> Result<Bytes, CutOff> {
        block_on(body.collect()).map(http_body_util::Collected::to_bytes)
    }

    #[test]
    fn whole_ones_and_streams() {
        assert_eq!(collect(Body::from("abc")).unwrap(), "abc");
        assert_eq!(collect(Body::empty()).unwrap(), "");
        assert_eq!(collect(of(vec![Ok("ab"), Ok("c")], None)).unwrap(), "abc");
        let counted = of(vec![Ok("ab"), Ok("c")], Some(3));
        assert_eq!(http_body::Body::size_hint(&counted).exact(), Some(3));
        assert_eq!(collect(counted).unwrap(), "abc");
    }

    #[test]
    fn what_is_not_whole_is_cut_off() {
        let error = DagError::Invalid("x".into());
        assert!(collect(of(vec![Ok("ab"), Err(error)], None)).is_err());
        assert!(collect(of(vec![Ok("ab")], Some(3))).is_err());
        assert!(collect(of(vec![Ok("ab"), Ok("cd")], Some(3))).is_err());
    }

    #[test]
    fn what_is_held_is_held_until_the_end() {
        for body in [Body::from("abc"), of(vec![Ok("abc")], None)] {
            let held = Arc::new(());
            let mut body = body.holding(Arc::clone(&held));
            let frame = block_on(body.frame()).unwrap().unwrap();
            assert_eq!(Arc::strong_count(&held), 2);
            drop((body, frame));
            assert_eq!(Arc::strong_count(&held), 1);
        }
    }

    #[test]
    fn streams_are_watched() {
        let (told, seen) = std::sync::mpsc::channel();
        let body = of(vec![Ok("ab"), Ok("c")], None).watched(move |what| {
            if let Seen::Given(bytes) = what {
                told.send(bytes.len()).unwrap();
            }
        });
        collect(body).unwrap();
        assert_eq!(seen.iter().collect::<Vec<_>>(), [2, 1]);
    }
}
