//! `Accept` (RFC 9110 §12.5.1): what a client takes, most wanted first. Pure.

use http::{HeaderMap, header};

/// A media range of `Accept`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct MediaRange {
    /// In lower case: `application/vnd.ipld.car`, `*/*`.
    pub(crate) essence: String,
    /// Parameters but the weight; names in lower case.
    pub(crate) parameters: Vec<(String, String)>,
    /// Thousandths: 0 to 1,000.
    pub(crate) weight: u16,
}

impl MediaRange {
    /// A parameter's value.
    pub(crate) fn parameter(&self, name: &str) -> Option<&str> {
        let mut parameters = self.parameters.iter();
        let (_, value) = parameters.find(|(own, _)| own == name)?;
        Some(value)
    }

    fn parse(text: &str) -> Option<Self> {
        let mut parts = split(text, b';').into_iter().map(str::trim);
        let essence = parts.next()?.to_ascii_lowercase();
        if !essence.contains('/') {
            return None;
        }
        let mut range = Self {
            essence,
            parameters: Vec::new(),
            weight: 1000,
        };
        for part in parts {
            let Some((name, value)) = part.split_once('=') else {
                continue;
            };
            let name = name.trim().to_ascii_lowercase();
            let value = value.trim().trim_matches('"').to_owned();
            if name == "q" {
                range.weight = weight(&value)?;
            } else {
                range.parameters.push((name, value));
            }
        }
        Some(range)
    }
}

/// The media ranges of a request that are wanted at all: by weight, and in their order where that is
/// the same. What cannot be read is passed over.
pub(crate) fn accepted(headers: &HeaderMap) -> Vec<MediaRange> {
    let values = headers.get_all(header::ACCEPT).iter();
    let mut ranges: Vec<_> = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| split(value, b','))
        .filter_map(MediaRange::parse)
        .filter(|range| range.weight > 0)
        .collect();
    ranges.sort_by_key(|range| std::cmp::Reverse(range.weight));
    ranges
}

/// Splits at a separator that is not within quotes.
fn split(text: &str, separator: u8) -> Vec<&str> {
    let mut parts = Vec::new();
    let (mut begun, mut quoted, mut escaped) = (0, false, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if byte == separator && !quoted => {
                parts.push(&text[begun..at]);
                begun = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[begun..]);
    parts
}

/// A weight of up to three decimals (RFC 9110 §12.4.2), in thousandths.
fn weight(text: &str) -> Option<u16> {
    let (whole, decimals) = text.split_once('.').unwrap_or((text, ""));
    if decimals.len() > 3 || !decimals.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let thousandths: u16 = format!("{decimals:0<3}").parse().ok()?;
    match whole {
        "0" => Some(thousandths),
        "1" if thousandths == 0 => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(values: &[&str]) -> Vec<MediaRange> {
        let values = values
            .iter()
            .map(|value| (header::ACCEPT, value.parse().unwrap()));
        let mut headers = HeaderMap::new();
        for (name, value) in values {
            headers.append(name, value);
        }
        accepted(&headers)
    }

    #[test]
    fn the_most_wanted_comes_first() {
        let ranges = ranges(&[
            "text/html;q=0.5, application/vnd.ipld.car ; Order=foo;dups=\"y\"",
            "*/*;q=0.1, application/vnd.ipld.raw;q=0.75, a/b;q=0",
        ]);
        let found: Vec<_> = ranges
            .iter()
            .map(|range| (&*range.essence, range.weight))
            .collect();
        assert_eq!(
            found,
            [
                ("application/vnd.ipld.car", 1000),
                ("application/vnd.ipld.raw", 750),
                ("text/html", 500),
                ("*/*", 100),
            ]
        );
        assert_eq!(ranges[0].parameter("order"), Some("foo"));
        assert_eq!(ranges[0].parameter("dups"), Some("y"));
        assert_eq!(ranges[0].parameter("version"), None);
    }

    #[test]
    fn quotes_hold_together() {
        let ranges = ranges(&["a/b;x=\"1,2;3\\\"4\";y=5, c/d"]);
        assert_eq!(ranges.len(), 2);
        assert_eq!(ranges[0].parameter("y"), Some("5"));
    }

    #[test]
    fn what_cannot_be_read_is_passed_over() {
        for value in [
            "",
            ",",
            ";",
            "text",
            "a/b;q=2",
            "a/b;q=x",
            "a/b;q=0.1234",
            "a/b;q=1.1",
        ] {
            assert_eq!(ranges(&[value]), [], "{value}");
        }
        for (text, expected) in [
            ("0", Some(0)),
            ("1", Some(1000)),
            ("1.000", Some(1000)),
            ("0.05", Some(50)),
        ] {
            assert_eq!(weight(text), expected, "{text}");
        }
    }
}
