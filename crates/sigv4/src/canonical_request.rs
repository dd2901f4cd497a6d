//! Step 1: the canonical request.
//!
//! ```text
//! METHOD \n encoded path \n encoded query \n header lines \n \n signed header names \n payload line
//! ```

use std::borrow::Cow;

use crate::encode::{Sink, is_unreserved};
use crate::sha256::hex;
use crate::{Error, Result};

/// SHA-256 of nothing.
const EMPTY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// Headers that are sorted without an allocation.
const FEW: usize = 8;

/// A request to sign: all of it that the signature covers, but for the payload.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The method in upper case, such as `GET`.
    pub method: &'a str,
    /// The decoded path, from its leading `/`. The signer encodes it; see
    /// [`encode_path`](crate::encode_path) for what to send.
    pub path: &'a str,
    /// The decoded query parameters in any order; see [`encode_query`](crate::encode_query) for
    /// what to send.
    pub query: &'a [(&'a str, &'a str)],
    /// The headers to sign, in any order and case: `host` (with the port, unless it is the
    /// scheme's own), every `x-amz-*` header that is sent, and any other whose change by somebody
    /// on the way must be refused. Not those that the signer itself makes.
    pub headers: &'a [(&'a str, &'a str)],
}

/// What is signed of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Payload {
    /// There is no body.
    Empty,
    /// The body has this SHA-256.
    Sha256([u8; 32]),
    /// The body is not signed: the literal `UNSIGNED-PAYLOAD`.
    Unsigned,
}

impl Payload {
    pub(crate) fn line(self) -> PayloadLine {
        match self {
            Self::Empty => PayloadLine::Literal(EMPTY),
            Self::Unsigned => PayloadLine::Literal("UNSIGNED-PAYLOAD"),
            Self::Sha256(digest) => PayloadLine::Hex(hex(&digest)),
        }
    }
}

/// The last line of a canonical request.
pub(crate) enum PayloadLine {
    Literal(&'static str),
    Hex([u8; 64]),
}

impl PayloadLine {
    pub(crate) fn as_str(&self) -> &str {
        match self {
            Self::Literal(text) => text,
            Self::Hex(hex) => str::from_utf8(hex).expect("ASCII"),
        }
    }
}

/// A header: its name in lower case, and its value.
type Header<'a> = (Cow<'a, str>, &'a str);

/// Headers in canonical order: sorted by lower-case name, those of one name as they came.
pub(crate) struct CanonicalHeaders<'a> {
    /// Most requests have few headers; they cost no allocation.
    few: [Header<'a>; FEW],
    many: Vec<Header<'a>>,
    count: usize,
}

impl<'a> CanonicalHeaders<'a> {
    pub(crate) fn new() -> Self {
        Self {
            few: [const { (Cow::Borrowed(""), "") }; FEW],
            many: Vec::new(),
            count: 0,
        }
    }

    /// Checks the caller's `headers` and sorts them together with the signer's `own`, whose names
    /// are in lower case, as are the `reserved` ones.
    ///
    /// In place, because moving them would cost as much as a block of SHA-256.
    pub(crate) fn fill(
        &mut self,
        headers: &[(&'a str, &'a str)],
        own: &[(&'a str, &'a str)],
        reserved: &[&str],
    ) -> Result<()> {
        self.count = headers.len() + own.len();
        let all = if self.count <= FEW {
            &mut self.few[..self.count]
        } else {
            self.many.resize(self.count, (Cow::Borrowed(""), ""));
            &mut self.many[..]
        };
        let (theirs, ours) = all.split_at_mut(headers.len());
        for (slot, (name, value)) in theirs.iter_mut().zip(headers) {
            let name = canonical_name(name)?;
            if reserved.contains(&&*name) {
                return Err(Error::ReservedHeader {
                    name: name.into_owned(),
                });
            }
            check_value(&name, value)?;
            *slot = (name, value);
        }
        for (slot, (name, value)) in ours.iter_mut().zip(own) {
            *slot = (Cow::Borrowed(name), value);
        }
        all.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(())
    }

    fn sorted(&self) -> &[Header<'a>] {
        if self.count <= FEW {
            &self.few[..self.count]
        } else {
            &self.many
        }
    }

    /// The one `host` header.
    pub(crate) fn host(&self) -> Result<&'a str> {
        let mut hosts = self.sorted().iter().filter(|(name, _)| name == "host");
        let host = match (hosts.next(), hosts.next()) {
            (Some((_, host)), None) => host.trim_matches(' '),
            _ => return Err(Error::Host),
        };
        if is_made_of(HOST, host) {
            Ok(host)
        } else {
            Err(Error::Host)
        }
    }

    /// `name:value` lines, each with its line break.
    pub(crate) fn put_lines(&self, out: &mut impl Sink) {
        self.each_name(|name, values| {
            out.put(name);
            out.put_byte(b':');
            for (index, (_, value)) in values.iter().enumerate() {
                if index > 0 {
                    out.put_byte(b',');
                }
                put_value(out, value);
            }
            out.put_byte(b'\n');
        });
    }

    /// The signed headers' names.
    pub(crate) fn put_names(&self, out: &mut impl Sink, separator: &str) {
        let mut first = true;
        self.each_name(|name, _| {
            if !first {
                out.put(separator);
            }
            first = false;
            out.put(name);
        });
    }

    /// The length of the names with a separator of up to three bytes each.
    pub(crate) fn names_length(&self) -> usize {
        self.sorted().iter().map(|(name, _)| name.len() + 3).sum()
    }

    /// Calls `each` with every name and its values.
    pub(crate) fn each_name(&self, mut each: impl FnMut(&str, &[Header<'a>])) {
        for values in self.sorted().chunk_by(|(a, _), (b, _)| a == b) {
            each(&values[0].0, values);
        }
    }
}

/// Everything after the query: header lines, names, payload line.
pub(crate) fn put_headers_and_payload(
    out: &mut impl Sink,
    headers: &CanonicalHeaders<'_>,
    payload: &str,
) {
    headers.put_lines(out);
    out.put_byte(b'\n');
    headers.put_names(out, ";");
    out.put_byte(b'\n');
    out.put(payload);
}

/// A value without spaces around it, and with runs of spaces inside it as one.
pub(crate) fn put_value(out: &mut impl Sink, value: &str) {
    if !any(value, |byte| byte == b' ') {
        out.put(value);
        return;
    }
    for (index, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
        if index > 0 {
            out.put_byte(b' ');
        }
        out.put(word);
    }
}

/// A value as [`put_value`] writes it, checked.
#[inline]
pub(crate) fn canonical_value<'a>(name: &str, value: &'a str) -> Result<Cow<'a, str>> {
    if !any(value, |byte| byte.wrapping_sub(b'!') > b'~' - b'!') {
        return Ok(Cow::Borrowed(value));
    }
    check_value(name, value)?;
    let mut out = String::with_capacity(value.len());
    put_value(&mut out, value);
    Ok(Cow::Owned(out))
}

/// A path that can be signed begins with `/`, a method is a token.
pub(crate) fn check_line(method: &str, path: &str) -> Result<()> {
    if !is_token(method) {
        return Err(Error::Method);
    }
    if !path.starts_with('/') {
        return Err(Error::Path);
    }
    Ok(())
}

/// A header's name in lower case.
pub(crate) fn canonical_name(name: &str) -> Result<Cow<'_, str>> {
    if !is_token(name) {
        Err(Error::HeaderName)
    } else if any(name, |byte| byte.is_ascii_uppercase()) {
        Ok(Cow::Owned(name.to_ascii_lowercase()))
    } else {
        Ok(Cow::Borrowed(name))
    }
}

pub(crate) fn check_value(name: &str, value: &str) -> Result<()> {
    if any(value, |byte| byte.is_ascii_control()) {
        return Err(Error::HeaderValue {
            name: name.to_ascii_lowercase(),
        });
    }
    Ok(())
}

/// Whether any byte of a short text is of a kind. It looks at all of them, which compiles to vector
/// instructions and is faster than stopping early.
#[inline]
fn any(text: &str, kind: impl Fn(u8) -> bool) -> bool {
    text.bytes().fold(false, |any, byte| any | kind(byte))
}

/// A token of RFC 9110, section 5.6.2.
fn is_token(text: &str) -> bool {
    is_made_of(TOKEN, text)
}

/// What a byte may be part of. A table, because these texts are short.
const KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0;
    while byte < 128 {
        if is_unreserved(byte) {
            kinds[byte as usize] = TOKEN | HOST;
        }
        kinds[byte as usize] |= match byte {
            b'!' | b'#' | b'$' | b'&' | b'\'' | b'*' | b'+' | b'^' | b'`' | b'|' => TOKEN,
            b':' | b'[' | b']' => HOST,
            b'%' => TOKEN | HOST,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};
const TOKEN: u8 = 1;
const HOST: u8 = 2;

#[inline]
fn is_made_of(kind: u8, text: &str) -> bool {
    let common = |kinds, byte| kinds & KINDS[usize::from(byte)];
    !text.is_empty() && text.bytes().fold(kind, common) == kind
}

#[cfg(test)]
mod tests {
    use super::*;

    fn canonical(headers: &[(&str, &str)]) -> Result<String> {
        let mut sorted = CanonicalHeaders::new();
        sorted.fill(headers, &[("x-amz-date", "D")], &["x-amz-date"])?;
        let mut out = String::new();
        put_headers_and_payload(&mut out, &sorted, Payload::Unsigned.line().as_str());
        Ok(out)
    }

    #[test]
    fn headers_are_sorted_trimmed_and_joined() {
        assert_eq!(
            canonical(&[
                ("Zeta", " a   b  "),
                ("HOST", "h"),
                ("zeta", ""),
                ("b-", "1"),
                ("B", "2"),
            ])
            .unwrap(),
            "b:2\nb-:1\nhost:h\nx-amz-date:D\nzeta:a b,\n\nb;b-;host;x-amz-date;zeta\n\
             UNSIGNED-PAYLOAD"
        );
    }

    #[test]
    fn more_headers_than_fit_on_the_stack() {
        let names: Vec<String> = (0..40).rev().map(|i| format!("h{i:02}")).collect();
        let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "v")).collect();
        let sorted = canonical(&headers).unwrap();
        assert!(sorted.starts_with("h00:v\nh01:v\nh02:v\n"), "{sorted}");
        assert!(sorted.contains("\nh39:v\nx-amz-date:D\n\nh00;h01;"));
    }

    #[test]
    fn control_characters_are_refused() {
        for value in ["a\r\nx-evil: 1", "a\nb", "a\rb", "a\tb", "a\0", "\u{7f}"] {
            assert_eq!(
                canonical(&[("My-Header", value)]),
                Err(Error::HeaderValue {
                    name: "my-header".into()
                }),
                "{value:?}"
            );
        }
        for name in ["", "a b", "a:", "a\n", "é"] {
            assert_eq!(
                canonical(&[(name, "v")]),
                Err(Error::HeaderName),
                "{name:?}"
            );
        }
        assert!(matches!(
            canonical(&[("X-Amz-Date", "v")]),
            Err(Error::ReservedHeader { name }) if name == "x-amz-date"
        ));
    }

    #[test]
    fn there_is_one_host() {
        let host = |headers: &[(&str, &str)]| {
            let mut sorted = CanonicalHeaders::new();
            sorted.fill(headers, &[], &[]).unwrap();
            sorted.host().map(str::to_owned)
        };
        assert_eq!(host(&[("Host", " [::1]:9000 ")]).unwrap(), "[::1]:9000");
        for headers in [
            &[("x", "y")][..],
            &[("host", "")],
            &[("host", "a"), ("Host", "a")],
            &[("host", "a/b")],
            &[("host", "user@a")],
            &[("host", "a?b")],
        ] {
            assert_eq!(host(headers), Err(Error::Host), "{headers:?}");
        }
    }
}
