//! Codecs as they are typed and shown.

use cidbucket::{CODECS, codec_code, codec_name};

/// A codec by name, or by number (`0x71` or `113`) where it has none here.
pub(crate) fn parse(text: &str) -> Result<u64, String> {
    let number = || match text.strip_prefix("0x") {
        Some(hex) => u64::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    };
    codec_code(text).or_else(number).ok_or_else(|| {
        let names: Vec<_> = CODECS.iter().map(|(name, _)| *name).collect();
        format!("known are {}, or give its number", names.join(", "))
    })
}

/// A codec's name, or its number in hexadecimal.
pub(crate) fn name(code: u64) -> String {
    codec_name(code).map_or_else(|| format!("{code:#x}"), Into::into)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers() {
        assert_eq!(parse("dag-cbor"), Ok(0x71));
        assert_eq!(parse("0x71"), Ok(0x71));
        assert_eq!(parse("113"), Ok(0x71));
        assert!(parse("dag-cobr").unwrap_err().contains("dag-cbor"));
        assert_eq!(name(0x71), "dag-cbor");
        assert_eq!(name(0x300), "0x300");
        for (codec, code) in CODECS {
            assert_eq!(parse(codec), Ok(*code));
            assert_eq!(name(*code), *codec);
        }
    }
}
