//! Names of the codecs a CID may have, from the multicodec table.

/// The codecs that have a name here, with their codes, most usual first. Any other is known by its
/// code alone, and is as good.
pub const CODECS: &[(&str, u64)] = &[
    ("raw", 0x55),
    ("dag-pb", 0x70),
    ("dag-cbor", 0x71),
    ("dag-json", 0x0129),
    ("dag-jose", 0x85),
    ("cbor", 0x51),
    ("json", 0x0200),
    ("libp2p-key", 0x72),
    ("git-raw", 0x78),
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
