//! Reading the body of a request: no longer than allowed, and no slower.

use std::pin::pin;

use bytes::{Bytes, BytesMut};
use cidbucket_direct::{Code, Problem};
use http_body_util::BodyExt;
use tokio::time::{Instant, timeout_at};

use crate::settings::Pace;

/// Reads a body of at most `limit` bytes.
pub(crate) async fn read<B>(body: B, limit: usize, pace: Pace) -> Result<Bytes, Problem>
where
    B: http_body::Body<Data = Bytes> + Send,
{
    let announced = length(&body);
    if announced > limit as u64 {
        return Err(too_large(limit));
    }
    let begun = Instant::now();
    let mut body = pin!(body);
    let mut first = Bytes::new();
    let mut whole = BytesMut::new();
    let mut received = 0_usize;
    loop {
        let until = begun + pace.allowance(received as u64);
        let frame = match timeout_at(until, body.frame()).await {
            Ok(Some(Ok(frame))) => frame,
            Ok(Some(Err(_))) => {
                return Err(Problem::new(Code::Invalid, "the body broke off"));
            }
            Ok(None) => break,
            Err(_) => {
                return Err(Problem::new(
                    Code::Timeout,
                    "the body took too long to come",
                ));
            }
        };
        let Ok(data) = frame.into_data() else {
            continue; // trailers
        };
        received += data.len();
        if received > limit {
            return Err(too_large(limit));
        }
        // A body of one frame is not copied.
        if received == data.len() {
            first = data;
            continue;
        }
        if whole.is_empty() {
            let room = usize::try_from(announced).unwrap_or(0).max(received);
            whole.reserve(room);
            whole.extend_from_slice(&first);
        }
        whole.extend_from_slice(&data);
    }
    Ok(if whole.is_empty() {
        first
    } else {
        whole.freeze()
    })
}

/// The length that was announced, at least; 0 where nothing was.
pub(crate) fn length<B: http_body::Body>(body: &B) -> u64 {
    let hint = body.size_hint();
    hint.upper().unwrap_or(hint.lower())
}

pub(crate) fn too_large(limit: usize) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("the body has more than {limit} bytes, the limit"),
    )
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::time::Duration;

    use futures::StreamExt;
    use futures::stream;
    use http_body::Frame;
    use http_body_util::{Full, StreamBody};

    use super::*;

    fn pieces(
        pieces: Vec<(u64, &'static str)>,
    ) -> impl http_body::Body<Data = Bytes, Error = Infallible> {
        StreamBody::new(stream::iter(pieces).then(|(after, piece)| async move {
            tokio::time::sleep(Duration::from_secs(after)).await;
            Ok(Frame::data(Bytes::from_static(piece.as_bytes())))
        }))
    }

    fn pace() -> Pace {
        Pace {
            grace: Duration::from_secs(10),
            rate: 1,
            total: Duration::from_secs(20),
        }
    }

    #[tokio::test(start_paused = true)]
    async fn whole_bodies() {
        let read = |body| read(body, 6, pace());
        assert_eq!(read(Full::from("abcdef").boxed()).await.unwrap(), "abcdef");
        assert_eq!(read(Full::from("").boxed()).await.unwrap(), "");
        let body = pieces(vec![(0, "ab"), (0, ""), (0, "cd"), (0, "ef")]);
        assert_eq!(
            read(BodyExt::boxed(Box::pin(body))).await.unwrap(),
            "abcdef"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn long_ones_are_refused_announced_or_not() {
        let announced = read(Full::from("abcdefg"), 6, pace()).await.unwrap_err();
        assert_eq!(announced.code, Code::TooLarge);
        let found = read(pieces(vec![(0, "abcdef"), (0, "g")]), 6, pace()).await;
        assert_eq!(found.unwrap_err().code, Code::TooLarge);
    }

    #[tokio::test(start_paused = true)]
    async fn slow_ones_are_refused() {
        // Three bytes earn three seconds.
        let body = pieces(vec![(9, "abc"), (3, "d")]);
        assert_eq!(read(body, 9, pace()).await.unwrap(), "abcd");
        let body = pieces(vec![(9, "abc"), (5, "d")]);
        assert_eq!(read(body, 9, pace()).await.unwrap_err().code, Code::Timeout);
        // However many bytes come, there is an end.
        let body = pieces(vec![(9, "abcdefghi"), (9, "abcdefghi"), (9, "a")]);
        assert_eq!(
            read(body, 99, pace()).await.unwrap_err().code,
            Code::Timeout
        );
    }
}
