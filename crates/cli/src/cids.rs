//! CIDs as they come in: arguments, or lines of standard input.

use std::io::{BufRead, BufReader, Read};

use cidbucket::{BoxStream, Cid};
use cidbucket_dag::ContentPath;
use futures::stream::{self, StreamExt};
use tokio::sync::mpsc;

use crate::content;
use crate::failure::{Failure, Outcome};
use crate::trouble::Trouble;

/// CIDs of the command line, with `-` standing for those on standard input.
#[derive(Debug, clap::Args)]
pub(crate) struct Cids {
    /// CIDs; `-` reads more from standard input, one a line
    #[arg(value_name = "CID", required = true)]
    cids: Vec<String>,
}

impl Cids {
    /// How many there are, where standard input is not needed to know.
    pub(crate) fn count(&self) -> Option<u64> {
        (!self.cids.iter().any(|cid| cid == "-")).then_some(self.cids.len() as u64)
    }

    /// The content path, where one is given in place of CIDs: `CID/`, `CID/a/b`.
    pub(crate) fn content_path(&self) -> Outcome<Option<ContentPath>> {
        match &self.cids[..] {
            [path] if content::has_path(path) => {
                let path = content::parse(path).map_err(Failure::usage)?;
                Ok(Some(path))
            }
            [_] => Ok(None),
            several => match several.iter().find(|text| content::has_path(text)) {
                Some(path) => {
                    let message = format!("{path} is a path, and stands alone");
                    Err(Failure::usage(message)
                        .with_hint("one command a path")
                        .into())
                }
                None => Ok(None),
            },
        }
    }

    /// The CIDs in order. All arguments are checked before the first is given out, so a typing
    /// error is seen before anything is done; lines of standard input are checked as they come,
    /// and the first bad one ends the stream: ask the [`Trouble`] afterwards.
    pub(crate) fn open(
        &self,
        stdin: impl FnOnce() -> Box<dyn Read + Send>,
    ) -> Outcome<(BoxStream<'static, Cid>, Trouble)> {
        let mut stdin = Some(stdin);
        let mut parts = Vec::new();
        for text in &self.cids {
            if text == "-" {
                let Some(stdin) = stdin.take() else {
                    return Err(Failure::usage("standard input (-) can be read only once").into());
                };
                parts.push(lines(stdin()));
            } else {
                let cid = parse(text)?;
                parts.push(stream::iter([Ok(cid)]).boxed());
            }
        }
        Ok(Trouble::aside(stream::iter(parts).flatten().boxed()))
    }
}

/// A CID as people paste it: bare, or as `/ipfs/CID` or `ipfs://CID`.
pub(crate) fn parse(text: &str) -> Result<Cid, Failure> {
    let bare = text
        .strip_prefix("/ipfs/")
        .or_else(|| text.strip_prefix("ipfs://"))
        .unwrap_or(text);
    bare.parse().map_err(|error| {
        Failure::usage(format!("{text:?} is not a CID: {error}")).with_hint(
            "a CID looks like bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku",
        )
    })
}

/// The first word of every line that has one: so the output of `ls --long` can be piped in.
fn lines(input: Box<dyn Read + Send>) -> BoxStream<'static, Result<Cid, Failure>> {
    let (sender, mut receiver) = mpsc::channel(64);
    // A thread of its own and not one of the runtime's: a read from a terminal may never return.
    std::thread::spawn(move || {
        for line in BufReader::new(input).lines() {
            let item = match line {
                Ok(line) => match line.split_whitespace().next() {
                    Some(word) => parse(word),
                    None => continue,
                },
                Err(error) => Err(Failure::io("cannot read standard input", &error)),
            };
            let last = item.is_err();
            if sender.blocking_send(item).is_err() || last {
                return;
            }
        }
    });
    stream::poll_fn(move |cx| receiver.poll_recv(cx)).boxed()
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";
    const B: &str = "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH";

    async fn collect(cids: &[&str], stdin: String) -> Outcome<(Vec<String>, Trouble)> {
        let cids = Cids {
            cids: cids.iter().map(ToString::to_string).collect(),
        };
        let (stream, trouble) = cids.open(|| Box::new(std::io::Cursor::new(stdin)))?;
        Ok((stream.map(|cid| cid.to_string()).collect().await, trouble))
    }

    #[tokio::test]
    async fn arguments_and_lines_keep_their_order() {
        let lines = format!("{A} 12 raw\n\n  {B}\n");
        let (found, trouble) = collect(&[B, "-", B], lines).await.unwrap();
        assert_eq!(found, [B, A, B, B]);
        assert!(trouble.check().is_ok());
    }

    #[tokio::test]
    async fn a_bad_argument_is_seen_before_anything_is_read() {
        assert!(collect(&[A, "nonsense"], String::new()).await.is_err());
        assert!(collect(&["-", "-"], String::new()).await.is_err());
    }

    #[tokio::test]
    async fn a_bad_line_ends_the_stream() {
        let lines = format!("{A}\nnonsense\n{A}\n");
        let (found, trouble) = collect(&["-"], lines).await.unwrap();
        assert_eq!(found, [A]);
        assert!(trouble.check().is_err());
    }

    #[test]
    fn pasted_forms() {
        for text in [A, &format!("/ipfs/{A}"), &format!("ipfs://{A}")] {
            assert_eq!(parse(text).unwrap().to_string(), A);
        }
    }
}
