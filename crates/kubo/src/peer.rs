//! The name of a node, in the form of a libp2p peer ID.

use cidbucket_blockstore::{Error, Report, Result};
use data_encoding::BASE64;
use multibase::Base;
use ring::rand::SystemRandom;
use ring::signature::{Ed25519KeyPair, KeyPair};

/// The protobuf message of an Ed25519 public key, up to its 32 bytes: type 1, then the data.
const PUBLIC_KEY: [u8; 4] = [0x08, 0x01, 0x12, 0x20];
/// A multihash of the function `identity`, of the 36 bytes of such a message.
const IDENTITY: [u8; 2] = [0x00, 0x24];

/// A node's name.
#[derive(Debug, Clone)]
pub(crate) struct PeerId {
    key: [u8; 32],
}

impl PeerId {
    pub(crate) fn new(key: [u8; 32]) -> Self {
        Self { key }
    }

    fn message(&self) -> Vec<u8> {
        [&PUBLIC_KEY[..], &self.key].concat()
    }

    /// The public key as Kubo writes it.
    pub(crate) fn public_key(&self) -> String {
        BASE64.encode(&self.message())
    }

    /// `12D3KooW…`.
    pub(crate) fn text(&self) -> String {
        let multihash = [&IDENTITY[..], &self.message()].concat();
        Base::Base58Btc.encode(multihash)
    }
}

/// A public key whose private one is forgotten.
pub(crate) fn new_public_key() -> Result<[u8; 32]> {
    let failed = || {
        let report = Report::new("make a peer ID", "the system gives no random bytes");
        Error::Io(report.into())
    };
    let document = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).map_err(|_| failed())?;
    let pair = Ed25519KeyPair::from_pkcs8(document.as_ref()).map_err(|_| failed())?;
    pair.public_key().as_ref().try_into().map_err(|_| failed())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_of_libp2p() {
        // The example of libp2p's specification of peer IDs.
        let key = data_encoding::HEXLOWER
            .decode(b"1ed1e8fae2c4a144b8be8fd4b47bf3d3b34b871c3cacf6010f0e42d474fce27e")
            .unwrap();
        let peer = PeerId::new(key.try_into().unwrap());
        assert_eq!(
            peer.text(),
            "12D3KooWBtg3aaRMjxwedh83aGiUkwSxDwUZkzuJcfaqUmo7R3pq"
        );
        let made = PeerId::new(new_public_key().unwrap());
        assert!(made.text().starts_with("12D3KooW"));
        assert_ne!(made.text(), PeerId::new(new_public_key().unwrap()).text());
    }
}
