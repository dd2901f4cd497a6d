//! How a command tells its answer: value by value, or byte by byte, while it runs.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures::channel::mpsc;
use futures::future::BoxFuture;
use futures::stream::{Stream, StreamExt};
use futures::{FutureExt, SinkExt};
use serde::Serialize;

use super::failure::Failure;

/// What kind of answer it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One JSON value.
    Single,
    /// JSON values, a line each (`X-Chunked-Output`).
    Values,
    /// Bytes (`X-Stream-Output`).
    Bytes(&'static str),
}

/// What stands before an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) kind: Kind,
    /// How many bytes of content there are, for `X-Content-Length`.
    pub(crate) length: Option<u64>,
}

#[derive(Debug)]
pub(crate) enum Event {
    Head(Head),
    Data(Bytes),
}

/// Where a command puts its answer. Who reads it slowly has the command wait.
pub(crate) struct Emitter {
    events: mpsc::Sender<Event>,
    begun: bool,
}

impl Emitter {
    /// Answers with one value.
    pub(crate) async fn single(&mut self, value: &(impl Serialize + Sync)) -> Result<(), Failure> {
        self.begin(Kind::Single, None).await?;
        self.send(Event::Data(line(value)?)).await
    }

    /// Adds a value to the answer.
    pub(crate) async fn value(&mut self, value: &(impl Serialize + Sync)) -> Result<(), Failure> {
        self.begin(Kind::Values, None).await?;
        self.send(Event::Data(line(value)?)).await
    }

    /// Begins an answer of bytes of a media type, whose content has `length` bytes.
    pub(crate) async fn begin_bytes(
        &mut self,
        media_type: &'static str,
        length: Option<u64>,
    ) -> Result<(), Failure> {
        self.begin(Kind::Bytes(media_type), length).await
    }

    /// Adds bytes to the answer.
    pub(crate) async fn bytes(&mut self, data: Bytes) -> Result<(), Failure> {
        if data.is_empty() {
            return Ok(());
        }
        self.send(Event::Data(data)).await
    }

    async fn begin(&mut self, kind: Kind, length: Option<u64>) -> Result<(), Failure> {
        if self.begun {
            return Ok(());
        }
        self.begun = true;
        self.send(Event::Head(Head { kind, length })).await
    }

    async fn send(&mut self, event: Event) -> Result<(), Failure> {
        let sent = self.events.send(event).await;
        sent.map_err(|_| Failure::new("the client is gone"))
    }
}

fn line(value: &impl Serialize) -> Result<Bytes, Failure> {
    let mut line = serde_json::to_vec(value).map_err(|error| Failure::new(error.to_string()))?;
    line.push(b'\n');
    Ok(line.into())
}

/// A command that runs while its answer is read. Dropping it ends the command.
pub(crate) struct Running {
    command: Option<BoxFuture<'static, Result<(), Failure>>>,
    events: mpsc::Receiver<Event>,
    failure: Option<Failure>,
}

impl Running {
    /// Makes a command of `command`, which is given where to put its answer.
    pub(crate) fn new<F>(command: impl FnOnce(Emitter) -> F) -> Self
    where
        F: Future<Output = Result<(), Failure>> + Send + 'static,
    {
        let (sender, events) = mpsc::channel(0);
        let emitter = Emitter {
            events: sender,
            begun: false,
        };
        Self {
            command: Some(command(emitter).boxed()),
            events,
            failure: None,
        }
    }
}

/// What it answers. A failure is the last item.
impl Stream for Running {
    type Item = Result<Event, Failure>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            match self.events.poll_next_unpin(cx) {
                Poll::Ready(Some(event)) => return Poll::Ready(Some(Ok(event))),
                // The command has ended, and all that it said was taken.
                Poll::Ready(None) if self.command.is_none() => {
                    return Poll::Ready(self.failure.take().map(Err));
                }
                Poll::Ready(None) | Poll::Pending => {}
            }
            let Some(command) = &mut self.command else {
                return Poll::Pending;
            };
            match command.poll_unpin(cx) {
                Poll::Ready(ended) => {
                    self.command = None;
                    self.failure = ended.err();
                }
                Poll::Pending => {
                    // It may have said something.
                    return match self.events.poll_next_unpin(cx) {
                        Poll::Ready(Some(event)) => Poll::Ready(Some(Ok(event))),
                        _ => Poll::Pending,
                    };
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn all_that_was_said_comes_before_the_failure() {
        let running = Running::new(|mut emitter| async move {
            for n in 0..3 {
                emitter.value(&n).await?;
                tokio::task::yield_now().await;
            }
            Err(Failure::new("at last"))
        });
        let events: Vec<_> = running.collect().await;
        let lines: Vec<_> = events
            .iter()
            .map(|event| match event {
                Ok(Event::Head(head)) => format!("{:?}", head.kind),
                Ok(Event::Data(data)) => String::from_utf8_lossy(data).into_owned(),
                Err(failure) => failure.message.clone(),
            })
            .collect();
        assert_eq!(lines, ["Values", "0\n", "1\n", "2\n", "at last"]);
    }

    #[tokio::test]
    async fn nothing_is_an_answer_too() {
        let mut running = Running::new(|_| async { Ok(()) });
        assert!(running.next().await.is_none());
        assert!(running.next().await.is_none());
    }
}
