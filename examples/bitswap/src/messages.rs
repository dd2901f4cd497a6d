//! Sends blocks in messages that other nodes accept.
//!
//! Bitswap's messages have at most 4 MiB (<https://specs.ipfs.tech/bitswap-protocol/>), and Kubo
//! closes the stream on a larger one. beetswap 0.5 sends all that a peer is to get as one message,
//! whatever its size (celestiaorg/beetswap#24), and names blocks of a `CIDv0` so that Kubo refuses
//! them. So this handler stands around beetswap's, takes the blocks that it would send, and sends
//! them itself, in messages of about [`TARGET`] bytes.

use std::collections::VecDeque;
use std::io;
use std::task::{Context, Poll};

use beetswap::{ConnHandler, StreamRequester, ToBehaviourEvent, ToHandlerEvent};
use futures::future::BoxFuture;
use futures::{AsyncWriteExt, FutureExt};
use libp2p::core::upgrade::ReadyUpgrade;
use libp2p::swarm::handler::{ConnectionEvent, DialUpgradeError, FullyNegotiatedOutbound};
use libp2p::swarm::{
    ConnectionHandler, ConnectionHandlerEvent, Stream, StreamProtocol, SubstreamProtocol,
};
use unsigned_varint::encode;

/// Bytes of blocks in a message, unless a single block has more. The limit on blocks is 2 MiB.
const TARGET: usize = 1 << 20;

/// How often a message is tried on a new stream before the peer is given up.
const ATTEMPTS: u32 = 3;

const PROTOCOL: StreamProtocol = StreamProtocol::new("/ipfs/bitswap/1.2.0");

/// A block as Bitswap sends it: the CID without its digest, and the bytes.
type PrefixedBlock = (Vec<u8>, Vec<u8>);

/// beetswap's handler of a connection, but for the sending of blocks.
pub struct Handler {
    inner: ConnHandler<64>,
    blocks: VecDeque<PrefixedBlock>,
    outgoing: Outgoing,
    attempts: u32,
}

/// The stream on which blocks are sent.
enum Outgoing {
    /// None is open.
    Closed,
    /// One was asked for.
    Opening,
    /// It waits for blocks.
    Idle(Stream),
    /// These blocks are being written. They are kept until that is done.
    Writing(Vec<PrefixedBlock>, BoxFuture<'static, io::Result<Stream>>),
}

impl Handler {
    pub fn new(inner: ConnHandler<64>) -> Self {
        Self {
            inner,
            blocks: VecDeque::new(),
            outgoing: Outgoing::Closed,
            attempts: 0,
        }
    }

    /// Sends what can be sent; `Ready` where a stream is wanted.
    fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            match std::mem::replace(&mut self.outgoing, Outgoing::Closed) {
                Outgoing::Closed if self.blocks.is_empty() => return Poll::Pending,
                Outgoing::Closed => {
                    self.outgoing = Outgoing::Opening;
                    return Poll::Ready(());
                }
                Outgoing::Idle(mut stream) if !self.blocks.is_empty() => {
                    let blocks = next_message(&mut self.blocks);
                    let message = encode_message(&blocks);
                    let written = async move {
                        stream.write_all(&message).await?;
                        stream.flush().await?;
                        Ok(stream)
                    };
                    self.outgoing = Outgoing::Writing(blocks, written.boxed());
                }
                Outgoing::Writing(blocks, mut written) => match written.poll_unpin(cx) {
                    Poll::Ready(Ok(stream)) => {
                        self.attempts = 0;
                        self.outgoing = Outgoing::Idle(stream);
                    }
                    Poll::Ready(Err(error)) => {
                        tracing::debug!("cannot send blocks: {error}");
                        // They go first on the next stream.
                        for block in blocks.into_iter().rev() {
                            self.blocks.push_front(block);
                        }
                        self.failed();
                    }
                    Poll::Pending => {
                        self.outgoing = Outgoing::Writing(blocks, written);
                        return Poll::Pending;
                    }
                },
                waiting @ (Outgoing::Opening | Outgoing::Idle(_)) => {
                    self.outgoing = waiting;
                    return Poll::Pending;
                }
            }
        }
    }

    /// A stream could not be had, or broke.
    fn failed(&mut self) {
        self.outgoing = Outgoing::Closed;
        self.attempts += 1;
        if self.attempts >= ATTEMPTS {
            tracing::warn!("a peer takes no blocks; {} are dropped", self.blocks.len());
            self.blocks.clear();
            self.attempts = 0;
        }
    }
}

impl ConnectionHandler for Handler {
    type FromBehaviour = ToHandlerEvent;
    type ToBehaviour = ToBehaviourEvent<64>;
    type InboundProtocol = ReadyUpgrade<StreamProtocol>;
    type OutboundProtocol = ReadyUpgrade<StreamProtocol>;
    type InboundOpenInfo = ();
    type OutboundOpenInfo = StreamRequester;

    fn listen_protocol(&self) -> SubstreamProtocol<Self::InboundProtocol> {
        self.inner.listen_protocol()
    }

    fn on_behaviour_event(&mut self, event: ToHandlerEvent) {
        match event {
            ToHandlerEvent::QueueOutgoingMessages(blocks) => {
                self.blocks
                    .extend(blocks.into_iter().map(with_whole_prefix));
            }
            event => self.inner.on_behaviour_event(event),
        }
    }

    fn on_connection_event(
        &mut self,
        event: ConnectionEvent<
            '_,
            Self::InboundProtocol,
            Self::OutboundProtocol,
            Self::InboundOpenInfo,
            Self::OutboundOpenInfo,
        >,
    ) {
        match event {
            // beetswap's handler asks for no stream as `Server`: it never gets blocks to send.
            ConnectionEvent::FullyNegotiatedOutbound(FullyNegotiatedOutbound {
                protocol: stream,
                info: StreamRequester::Server,
            }) => self.outgoing = Outgoing::Idle(stream),
            ConnectionEvent::DialUpgradeError(DialUpgradeError {
                info: StreamRequester::Server,
                ..
            }) => self.failed(),
            event => self.inner.on_connection_event(event),
        }
    }

    fn connection_keep_alive(&self) -> bool {
        self.inner.connection_keep_alive()
    }

    fn poll(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<
        ConnectionHandlerEvent<Self::OutboundProtocol, Self::OutboundOpenInfo, Self::ToBehaviour>,
    > {
        if self.poll_send(cx).is_ready() {
            return Poll::Ready(ConnectionHandlerEvent::OutboundSubstreamRequest {
                protocol: SubstreamProtocol::new(
                    ReadyUpgrade::new(PROTOCOL),
                    StreamRequester::Server,
                ),
            });
        }
        self.inner.poll(cx)
    }

    fn poll_close(&mut self, cx: &mut Context<'_>) -> Poll<Option<Self::ToBehaviour>> {
        self.inner.poll_close(cx)
    }
}

/// The prefix of a `CIDv0` with version and codec, as Kubo writes it and wants it. beetswap 0.5 leaves
/// them out, and Kubo refuses the message.
fn with_whole_prefix((prefix, data): PrefixedBlock) -> PrefixedBlock {
    match prefix[..] {
        [0x12, 0x20] => (vec![0x00, 0x70, 0x12, 0x20], data),
        _ => (prefix, data),
    }
}

/// Takes the blocks of the next message: one, and then as many as fit.
fn next_message(blocks: &mut VecDeque<PrefixedBlock>) -> Vec<PrefixedBlock> {
    let mut message = Vec::new();
    let mut size = 0;
    while let Some((_, data)) = blocks.front() {
        size += data.len();
        if !message.is_empty() && size > TARGET {
            break;
        }
        message.extend(blocks.pop_front());
    }
    message
}

/// Bitswap's protobuf message of blocks, behind its length:
/// `message Message { message Block { bytes prefix = 1; bytes data = 2; } repeated Block payload = 3; }`
fn encode_message(blocks: &[PrefixedBlock]) -> Vec<u8> {
    let mut body = Vec::with_capacity(blocks.iter().map(|(_, data)| data.len() + 32).sum());
    for (prefix, data) in blocks {
        let block = field(1, prefix).len() + prefix.len() + field(2, data).len() + data.len();
        body.push(tag(3));
        body.extend(varint(block));
        for (number, bytes) in [(1, prefix), (2, data)] {
            body.extend(field(number, bytes));
            body.extend(bytes);
        }
    }
    [varint(body.len()), body].concat()
}

/// What stands before the bytes of a field: tag and length.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [vec![tag(number)], varint(bytes.len())].concat()
}

/// The tag of a length-delimited field.
fn tag(number: u8) -> u8 {
    number << 3 | 2
}

fn varint(number: usize) -> Vec<u8> {
    encode::usize(number, &mut encode::usize_buffer()).to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_protobuf_behind_its_length() {
        let prefix = vec![1, 0x55, 0x12, 32];
        let expected = b"\x0d\x1a\x0b\x0a\x04\x01\x55\x12\x20\x12\x03abc";
        assert_eq!(
            encode_message(&[(prefix.clone(), b"abc".to_vec())]),
            expected
        );

        let large = encode_message(&[(prefix, vec![7; 300])]);
        // 300 is AC 02; with prefix and tags 309 (B5 02), and with its own 312 (B8 02).
        assert_eq!(large[..5], [0xb8, 0x02, 0x1a, 0xb5, 0x02]);
        assert_eq!(large[5..14], *b"\x0a\x04\x01\x55\x12\x20\x12\xac\x02");
        assert_eq!(large.len(), 2 + 312);
    }

    #[test]
    fn a_prefix_is_whole() {
        let v0 = (vec![0x12, 0x20], b"abc".to_vec());
        assert_eq!(with_whole_prefix(v0).0, [0x00, 0x70, 0x12, 0x20]);
        let v1 = (vec![0x01, 0x70, 0x12, 0x20], b"abc".to_vec());
        assert_eq!(with_whole_prefix(v1.clone()), v1);
    }

    #[test]
    fn messages_keep_to_the_target() {
        let block = |size: usize| (vec![1, 0x55, 0x12, 32], vec![0; size]);
        let sizes = [2 << 20, 10, 1 << 19, 1 << 19, TARGET, 1, 2 << 20];
        let mut blocks: VecDeque<_> = sizes.into_iter().map(block).collect();
        let mut messages = Vec::new();
        while !blocks.is_empty() {
            let message = next_message(&mut blocks);
            assert!(encode_message(&message).len() < 4 << 20);
            messages.push(
                message
                    .iter()
                    .map(|(_, data)| data.len())
                    .collect::<Vec<_>>(),
            );
        }
        let expected: [&[usize]; 6] = [
            &[2 << 20],
            &[10, 1 << 19],
            &[1 << 19],
            &[TARGET],
            &[1],
            &[2 << 20],
        ];
        assert_eq!(messages, expected);
    }
}
