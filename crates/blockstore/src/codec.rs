//! The codecs a CID may have, from the [multicodec table].
//!
//! [multicodec table]: https://github.com/multiformats/multicodec/blob/master/table.csv

/// Bytes without links: `raw`.
pub const RAW: u64 = 0x55;
/// `dag-pb`, which files and directories of UnixFS are made of.
pub const DAG_PB: u64 = 0x70;
/// `dag-cbor`.
pub const DAG_CBOR: u64 = 0x71;
/// `dag-json`.
pub const DAG_JSON: u64 = 0x0129;
/// Signed or encrypted `dag-cbor`: `dag-jose`.
pub const DAG_JOSE: u64 = 0x85;
/// CBOR without links: `cbor`.
pub const CBOR: u64 = 0x51;
/// JSON without links: `json`.
pub const JSON: u64 = 0x0200;
/// A public key of libp2p: `libp2p-key`.
pub const LIBP2P_KEY: u64 = 0x72;
/// An object of git: `git-raw`.
pub const GIT_RAW: u64 = 0x78;

/// The codecs that have a name here, with their codes, most usual first. Any other is known by its
/// code alone, and is as good.
pub const CODECS: &[(&str, u64)] = &[
    ("raw", RAW),
    ("dag-pb", DAG_PB),
    ("dag-cbor", DAG_CBOR),
    ("dag-json", DAG_JSON),
    ("dag-jose", DAG_JOSE),
    ("cbor", CBOR),
    ("json", JSON),
    ("libp2p-key", LIBP2P_KEY),
    ("git-raw", GIT_RAW),
];

/// The code of a codec's name.
pub fn codec_code(name: &str) -> Option<u64> {
    let known = CODECS.iter().find(|(known, _)| *known == name);
    known.map(|(_, code)| *code)
}

/// The name of a codec's code.
pub fn codec_name(code: u64) -> Option<&'static str> {
    let known = CODECS.iter().find(|(_, known)| *known == code);
    known.map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_codes_are_unique() {
        for (name, code) in CODECS {
            assert_eq!(codec_code(name), Some(*code));
            assert_eq!(codec_name(*code), Some(*name));
        }
        assert_eq!(codec_code("dag-cobr"), None);
        assert_eq!(codec_name(0x300), None);
    }
}
