//! Percent-encoding as the signature specifies it under the name `UriEncode`.
//!
//! Everything but the unreserved characters of RFC 3986 (`A-Z a-z 0-9 - . _ ~`) becomes `%XX`
//! with upper-case digits, byte by byte of the UTF-8. S3 wants it once: nothing is decoded first,
//! and neither `//` nor `..` is normalised, because they are part of the key.

use std::borrow::Cow;

/// Where encoded or plain text is written: a URL, or a hash in progress.
pub(crate) trait Sink {
    fn put(&mut self, text: &str);

    /// Writes one ASCII character.
    fn put_byte(&mut self, byte: u8);
}

impl Sink for String {
    #[inline]
    fn put(&mut self, text: &str) {
        self.push_str(text);
    }

    #[inline]
    fn put_byte(&mut self, byte: u8) {
        self.push(char::from(byte));
    }
}

impl<const BLOCKS: usize> Sink for crate::sha256::Sha256<BLOCKS> {
    #[inline]
    fn put(&mut self, text: &str) {
        self.update(text.as_bytes());
    }

    #[inline]
    fn put_byte(&mut self, byte: u8) {
        self.update_byte(byte);
    }
}

/// The path of a request as it is sent and signed: `/` stays, every other reserved byte is
/// encoded. `path` is the decoded text, say `/bucket/` plus the object's key. It is not copied where
/// there is nothing to encode.
#[inline]
pub fn encode_path(path: &str) -> Cow<'_, str> {
    let path = Path::new(path);
    if path.plain {
        return Cow::Borrowed(path.decoded);
    }
    let mut out = String::with_capacity(path.bound());
    path.put(&mut out);
    Cow::Owned(out)
}

/// The query of a request as it is sent and signed: names and values encoded, sorted by encoded
/// name and then value, a parameter without a value as `name=`. No leading `?`.
pub fn encode_query(query: &[(&str, &str)]) -> String {
    let mut out = String::new();
    put_query(&mut out, query);
    out
}

/// A path to encode, looked at once however often it is written.
#[derive(Clone, Copy)]
pub(crate) struct Path<'a> {
    decoded: &'a str,
    /// Whether there is nothing to encode.
    plain: bool,
}

impl<'a> Path<'a> {
    #[inline]
    pub(crate) fn new(decoded: &'a str) -> Self {
        Self {
            decoded,
            plain: all(decoded, is_unreserved_or_slash),
        }
    }

    #[inline]
    pub(crate) fn put(self, out: &mut impl Sink) {
        if self.plain {
            out.put(self.decoded);
        } else {
            put_encoded(out, self.decoded, is_unreserved_or_slash);
        }
    }

    /// An upper bound of the encoded length.
    pub(crate) fn bound(self) -> usize {
        let longest = if self.plain { 1 } else { 3 };
        longest * self.decoded.len()
    }
}

pub(crate) fn put_component(out: &mut impl Sink, text: &str) {
    // Most texts need no encoding at all.
    if all(text, is_unreserved) {
        out.put(text);
    } else {
        put_encoded(out, text, is_unreserved);
    }
}

pub(crate) fn put_query(out: &mut impl Sink, query: &[(&str, &str)]) {
    if let [(name, value)] = query {
        put_pair(out, name, value);
        return;
    }
    for (index, (name, value)) in sorted_query(query).iter().enumerate() {
        if index > 0 {
            out.put_byte(b'&');
        }
        out.put(name);
        out.put_byte(b'=');
        out.put(value);
    }
}

pub(crate) fn put_pair(out: &mut impl Sink, name: &str, value: &str) {
    put_component(out, name);
    out.put_byte(b'=');
    put_component(out, value);
}

/// Encoded names and values in the order in which they are signed. They are sorted apart, since
/// `=` sorts after `-` and the digits: `a` comes before `a-b`, though `a=` comes after `a-b=`.
pub(crate) fn sorted_query(query: &[(&str, &str)]) -> Vec<(String, String)> {
    let encode = |text: &str| {
        let mut out = String::with_capacity(text.len());
        put_component(&mut out, text);
        out
    };
    let mut pairs: Vec<_> = query
        .iter()
        .map(|(name, value)| (encode(name), encode(value)))
        .collect();
    pairs.sort_unstable();
    pairs
}

/// Whether a byte is unreserved. Without lazy operators it compiles to vector instructions, which
/// makes looking at a whole key as cheap as copying it.
#[inline]
#[expect(clippy::needless_bitwise_bool)]
pub(crate) const fn is_unreserved(byte: u8) -> bool {
    ((byte | 0x20).wrapping_sub(b'a') < 26)
        | (byte.wrapping_sub(b'0') < 10)
        | (byte == b'-')
        | (byte == b'.')
        | (byte == b'_')
        | (byte == b'~')
}

#[inline]
#[expect(clippy::needless_bitwise_bool)]
const fn is_unreserved_or_slash(byte: u8) -> bool {
    is_unreserved(byte) | (byte == b'/')
}

fn all(text: &str, keep: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(true, |all, byte| all & keep(byte))
}

fn put_encoded(out: &mut impl Sink, mut text: &str, keep: impl Fn(u8) -> bool) {
    loop {
        let run = text
            .bytes()
            .position(|byte| !keep(byte))
            .unwrap_or(text.len());
        out.put(&text[..run]);
        // A run ends at the start of a character: inside one, all bytes are encoded together.
        let Some(next) = text[run..].chars().next() else {
            return;
        };
        for byte in next.encode_utf8(&mut [0; 4]).bytes() {
            let digit = |nibble: u8| char::from(b"0123456789ABCDEF"[usize::from(nibble)]);
            let escape = ['%', digit(byte >> 4), digit(byte & 15)];
            let mut ascii = [0; 3];
            for (byte, char) in ascii.iter_mut().zip(escape) {
                char.encode_utf8(std::slice::from_mut(byte));
            }
            out.put(str::from_utf8(&ascii).expect("ASCII"));
        }
        text = &text[run + next.len_utf8()..];
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn documented_examples() {
        assert_eq!(encode_path("/test$file.text"), "/test%24file.text");
        assert_eq!(encode_path("/a b/ü+%2F~-_."), "/a%20b/%C3%BC%2B%252F~-_.");
        assert_eq!(encode_path("//a/../b//"), "//a/../b//");
        assert_eq!(encode_path("/👍"), "/%F0%9F%91%8D");
        assert_eq!(encode_query(&[]), "");
        assert_eq!(encode_query(&[("lifecycle", "")]), "lifecycle=");
        assert_eq!(
            encode_query(&[("prefix", "a/b c"), ("max-keys", "2")]),
            "max-keys=2&prefix=a%2Fb%20c"
        );
    }

    #[test]
    fn the_query_is_sorted_after_encoding_and_by_name_first() {
        assert_eq!(
            encode_query(&[("a", "2"), ("a-b", "1"), ("é", ""), ("~", ""), ("a", "1")]),
            "%C3%A9=&a=1&a=2&a-b=1&~="
        );
    }

    fn decode(text: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            if byte == b'%' {
                let hex = [bytes.next().unwrap(), bytes.next().unwrap()];
                assert!(!hex.iter().any(u8::is_ascii_lowercase));
                out.push(u8::from_str_radix(str::from_utf8(&hex).unwrap(), 16).unwrap());
            } else {
                out.push(byte);
            }
        }
        out
    }

    proptest! {
        #[test]
        fn a_path_round_trips(path in "\\PC*") {
            let encoded = encode_path(&path);
            prop_assert!(encoded.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~/%".contains(&b)));
            prop_assert_eq!(decode(&encoded), path.as_bytes());
        }

        #[test]
        fn any_text_round_trips_as_a_component(name: String, value: String) {
            let encoded = encode_query(&[(&name, &value)]);
            let (left, right) = encoded.split_once('=').unwrap();
            prop_assert!(!right.contains(['=', '/', '&', '+', ' ']));
            prop_assert_eq!(decode(left), name.as_bytes());
            prop_assert_eq!(decode(right), value.as_bytes());
        }

        #[test]
        fn the_order_given_does_not_matter(
            mut pairs in proptest::collection::vec(("[a-c=&é-]{0,3}", "[0-9 ]{0,2}"), 0..6)
        ) {
            let query = |pairs: &[(String, String)]| {
                let pairs: Vec<_> = pairs.iter().map(|(n, v)| (n.as_str(), v.as_str())).collect();
                encode_query(&pairs)
            };
            let one = query(&pairs);
            pairs.reverse();
            prop_assert_eq!(query(&pairs), one);
        }
    }
}
