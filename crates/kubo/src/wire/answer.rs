//! Answers: their heads, and bodies that end with a trailer where the command failed on the way.

use std::convert::Infallible;

use bytes::Bytes;
use futures::stream::{self, StreamExt};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CONTENT_TYPE, TRAILER,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use http_body::Frame;
use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use tokio::time::{Instant, timeout_at};

use super::emitter::{Event, Head, Kind, Running};
use super::failure::{Code, Failure};
use super::request_body::RequestBody;

/// The body of an answer. It does not fail: what goes wrong on the way is its trailer
/// `X-Stream-Error`.
pub type Body = UnsyncBoxBody<Bytes, Infallible>;

/// The trailer of an answer whose command failed after its beginning.
pub(crate) const STREAM_ERROR: HeaderName = HeaderName::from_static("x-stream-error");
const STREAM_OUTPUT: HeaderName = HeaderName::from_static("x-stream-output");
const CHUNKED_OUTPUT: HeaderName = HeaderName::from_static("x-chunked-output");
const CONTENT_LENGTH: HeaderName = HeaderName::from_static("x-content-length");
const EXPOSED: HeaderValue =
    HeaderValue::from_static("X-Stream-Output, X-Chunked-Output, X-Content-Length");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const ONE: HeaderValue = HeaderValue::from_static("1");

/// An answer that is a line of text: what is no call at all.
pub(crate) fn text(status: StatusCode, line: &str) -> Response<Body> {
    let mut answer = Response::new(whole(format!("{line}\n").into()));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, TEXT);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    answer
}

/// The answer to a method that is not POST.
pub(crate) fn method_not_allowed() -> Response<Body> {
    let mut answer = text(StatusCode::METHOD_NOT_ALLOWED, "405 - Method Not Allowed");
    answer.headers_mut().insert(ALLOW, METHODS);
    answer
}

/// The answer to OPTIONS.
pub(crate) fn options() -> Response<Body> {
    let mut answer = Response::new(whole(Bytes::new()));
    *answer.status_mut() = StatusCode::NO_CONTENT;
    answer.headers_mut().insert(ALLOW, METHODS);
    answer
}

const METHODS: HeaderValue = HeaderValue::from_static("OPTIONS, POST");

/// The answer of a command that failed before it said anything.
pub(crate) fn failed(failure: &Failure) -> Response<Body> {
    let mut answer = Response::new(whole(format!("{}\n", failure.json()).into()));
    *answer.status_mut() = match failure.code {
        Code::Normal => StatusCode::INTERNAL_SERVER_ERROR,
        Code::Client => StatusCode::BAD_REQUEST,
    };
    let headers = answer.headers_mut();
    common(headers);
    headers.insert(CONTENT_TYPE, JSON);
    answer
}

/// The answer of a command. Its head is known once the command has said something, or has ended.
pub(crate) async fn of(
    mut running: Running,
    request: RequestBody,
    deadline: Option<Instant>,
) -> Response<Body> {
    let first = next(&mut running, deadline).await;
    let head = match first {
        None => Head {
            kind: Kind::Values,
            length: None,
        },
        Some(Ok(Event::Head(head))) => head,
        Some(Ok(Event::Data(_))) => unreachable!("an emitter begins with a head"),
        Some(Err(failure)) => {
            // The client reads the answer once it has sent all.
            drop(running);
            request.drain().await;
            return failed(&failure);
        }
    };
    let state = Some((running, request));
    let frames = stream::unfold(state, move |state| async move {
        let (mut running, request) = state?;
        match next(&mut running, deadline).await {
            Some(Ok(Event::Data(data))) => Some((Ok(Frame::data(data)), Some((running, request)))),
            Some(Err(failure)) => {
                drop(running);
                request.drain().await;
                Some((Ok(Frame::trailers(trailers(&failure))), None))
            }
            None | Some(Ok(Event::Head(_))) => {
                request.drain().await;
                None
            }
        }
    });
    let mut answer = Response::new(StreamBody::new(frames).boxed_unsync());
    let headers = answer.headers_mut();
    common(headers);
    let kind = match head.kind {
        Kind::Single => JSON,
        Kind::Values => {
            headers.insert(CHUNKED_OUTPUT, ONE);
            JSON
        }
        Kind::Bytes(media_type) => {
            headers.insert(STREAM_OUTPUT, ONE);
            HeaderValue::from_static(media_type)
        }
    };
    headers.insert(CONTENT_TYPE, kind);
    if let Some(length) = head.length {
        headers.insert(CONTENT_LENGTH, length.into());
    }
    answer
}

async fn next(running: &mut Running, deadline: Option<Instant>) -> Option<Result<Event, Failure>> {
    match deadline {
        None => running.next().await,
        Some(deadline) => timeout_at(deadline, running.next())
            .await
            .unwrap_or_else(|_| Some(Err(Failure::deadline()))),
    }
}

/// What every answer of a command says.
fn common(headers: &mut HeaderMap) {
    headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, EXPOSED);
    headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);
    headers.insert(TRAILER, HeaderValue::from_static("X-Stream-Error"));
}

fn trailers(failure: &Failure) -> HeaderMap {
    let mut trailers = HeaderMap::new();
    trailers.insert(STREAM_ERROR, header_value(&failure.message));
    trailers
}

/// A message as the value of a header, in one line.
fn header_value(message: &str) -> HeaderValue {
    let line: String = message
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    HeaderValue::from_bytes(line.trim().as_bytes())
        .unwrap_or_else(|_| HeaderValue::from_static("the command failed"))
}

fn whole(bytes: Bytes) -> Body {
    Full::new(bytes).boxed_unsync()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use http_body_util::Empty;

    use super::*;

    async fn answer(running: Running) -> (http::response::Parts, String, Option<HeaderMap>) {
        let request = RequestBody::new(Empty::<Bytes>::new(), Duration::from_secs(1));
        let deadline = Instant::now() + Duration::from_mins(1);
        let (parts, body) = of(running, request, Some(deadline)).await.into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned();
        let bytes = body.to_bytes();
        (
            parts,
            String::from_utf8_lossy(&bytes).into_owned(),
            trailers,
        )
    }

    #[tokio::test]
    async fn a_failure_at_once_is_the_answer() {
        let (parts, body, trailers) =
            answer(Running::new(|_| async { Err(Failure::new("no \"x\"")) })).await;
        assert_eq!(parts.status, 500);
        assert_eq!(parts.headers[CONTENT_TYPE], "application/json");
        assert_eq!(
            serde_json::from_str::<serde_json::Value>(&body).unwrap(),
            serde_json::json!({"Message": "no \"x\"", "Code": 0, "Type": "error"})
        );
        assert_eq!(trailers, None);
        let (parts, ..) = answer(Running::new(|_| async { Err(Failure::client("x")) })).await;
        assert_eq!(parts.status, 400);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failure_on_the_way_is_the_trailer() {
        let (parts, body, trailers) = answer(Running::new(|mut emitter| async move {
            emitter.begin_bytes("text/plain", Some(4)).await?;
            emitter.bytes("ab".into()).await?;
            Err(Failure::new("broken\r\nSet-Cookie: x"))
        }))
        .await;
        assert_eq!(parts.status, 200);
        assert_eq!(parts.headers[TRAILER], "X-Stream-Error");
        assert_eq!(parts.headers["x-stream-output"], "1");
        assert_eq!(parts.headers["x-content-length"], "4");
        assert_eq!(body, "ab");
        assert_eq!(trailers.unwrap()[STREAM_ERROR], "broken  Set-Cookie: x");

        let (parts, body, trailers) = answer(Running::new(|mut emitter| async move {
            emitter.value(&1).await?;
            std::future::pending().await
        }))
        .await;
        assert_eq!(parts.headers["x-chunked-output"], "1");
        assert_eq!(body, "1\n");
        assert_eq!(trailers.unwrap()[STREAM_ERROR], "context deadline exceeded");
    }

    #[tokio::test]
    async fn single_values_and_none() {
        let (parts, body, _) = answer(Running::new(|mut emitter| async move {
            emitter.single(&[1]).await
        }))
        .await;
        assert!(!parts.headers.contains_key("x-chunked-output"));
        assert_eq!(body, "[1]\n");
        let (parts, body, _) = answer(Running::new(|_| async { Ok(()) })).await;
        assert_eq!((parts.status.as_u16(), body.as_str()), (200, ""));
    }
}
