//! The body of a request, read to its end even where nobody wants it.
//!
//! A refusal is known before the body has come. To answer and close then, with bytes unread, resets
//! the connection, and the client may never see the answer: a browser tells its page that the
//! network failed, where a grant has expired. So the rest is read and thrown away.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{Request, header};
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::timeout;

/// How much of a body is thrown away at most, in bytes, and how long that may take.
const MOST: u64 = 64 * 1024 * 1024;
const PATIENCE: Duration = Duration::from_secs(5);

/// A request's body; what is left of it when it is dropped is read.
pub(crate) struct Received {
    /// There until dropped.
    body: Option<Incoming>,
    /// Whether the client waits to be told to send it. Reading would tell it to.
    waits: bool,
}

impl Received {
    pub(crate) fn of(request: Request<Incoming>) -> Request<Self> {
        let waits = request.headers().contains_key(header::EXPECT);
        request.map(|body| Self {
            body: Some(body),
            waits,
        })
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        self.waits = false;
        match &mut self.body {
            Some(body) => Pin::new(body).poll_frame(cx),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body
            .as_ref()
            .map_or(SizeHint::with_exact(0), Body::size_hint)
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        let left = self.body.take().filter(|body| !body.is_end_stream());
        let (Some(mut body), Ok(runtime)) = (left, tokio::runtime::Handle::try_current()) else {
            return;
        };
        if self.waits {
            return;
        }
        runtime.spawn(timeout(PATIENCE, async move {
            let mut read = 0;
            while let Some(Ok(frame)) = body.frame().await {
                read += frame.data_ref().map_or(0, |data| data.len() as u64);
                if read > MOST {
                    break;
                }
            }
        }));
    }
}
