//! The base32 texts that keys are made of: RFC 4648, without padding, upper or lower case.

use cid::Cid;
use data_encoding::{BASE32_NOPAD, Encoding, Specification};
use std::sync::LazyLock;

use crate::Multihash;

/// Longest encoding of a CID in bytes: version (1), codec and hash code (10 each), digest length
/// (1), digest (64).
const MAX_BYTES: usize = 86;

/// Longest base32 text of that many bytes.
pub(crate) const MAX_TEXT: usize = (MAX_BYTES * 8).div_ceil(5);

static UPPER: Encoding = BASE32_NOPAD;

static LOWER: LazyLock<Encoding> = LazyLock::new(|| {
    let mut specification = Specification::new();
    specification
        .symbols
        .push_str("abcdefghijklmnopqrstuvwxyz234567");
    specification
        .encoding()
        .expect("32 distinct symbols are an encoding")
});

/// Upper or lower case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    Upper,
    Lower,
}

impl Case {
    fn encoding(self) -> &'static Encoding {
        match self {
            Self::Upper => &UPPER,
            Self::Lower => &LOWER,
        }
    }

    /// The multihash's text (`CIQ…` for sha2-256), written into `text`.
    pub(crate) fn encode<'a>(self, multihash: &Multihash, text: &'a mut [u8; MAX_TEXT]) -> &'a str {
        let mut buffer = [0; MAX_BYTES];
        let bytes = bytes_of(multihash, &mut buffer);
        let length = self.encoding().encode_len(bytes.len());
        self.encoding().encode_mut_str(bytes, &mut text[..length])
    }

    /// Reads what [`Case::encode`] wrote and nothing else.
    pub(crate) fn decode(self, text: &str) -> Option<Multihash> {
        decode(self.encoding(), text, |bytes| {
            let multihash = Multihash::from_bytes(bytes).ok()?;
            (bytes_of(&multihash, &mut [0; MAX_BYTES]) == bytes).then_some(multihash)
        })
    }
}

/// Any bytes in upper case.
pub(crate) fn upper(bytes: &[u8]) -> String {
    UPPER.encode(bytes)
}

/// Appends the whole CID (`AFKREI…` for raw sha2-256).
pub(crate) fn write_cid(cid: &Cid, out: &mut String) {
    let mut buffer = [0; MAX_BYTES];
    let length = cid
        .write_bytes(&mut buffer[..])
        .expect("the buffer holds the longest CID");
    UPPER.encode_append(&buffer[..length], out);
}

/// Reads what [`write_cid`] wrote and nothing else.
pub(crate) fn cid(text: &str) -> Option<Cid> {
    decode(&UPPER, text, |bytes| {
        let cid = Cid::read_bytes(bytes).ok()?;
        let mut buffer = [0; MAX_BYTES];
        let length = cid.write_bytes(&mut buffer[..]).ok()?;
        (&buffer[..length] == bytes).then_some(cid)
    })
}

fn bytes_of<'a>(multihash: &Multihash, buffer: &'a mut [u8; MAX_BYTES]) -> &'a [u8] {
    let length = multihash
        .write(&mut buffer[..])
        .expect("the buffer holds the longest multihash");
    &buffer[..length]
}

fn decode<T>(encoding: &Encoding, text: &str, read: impl Fn(&[u8]) -> Option<T>) -> Option<T> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let length = encoding.decode_len(text.len()).ok()?;
    let mut buffer = [0; MAX_BYTES];
    let bytes = buffer.get_mut(..length)?;
    let written = encoding.decode_mut(text.as_bytes(), bytes).ok()?;
    read(&bytes[..written])
}
