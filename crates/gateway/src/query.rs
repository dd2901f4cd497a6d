//! The query of a request. Pure.

use std::borrow::Cow;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stands unescaped in a value: all that the parameters' own values have.
const VALUE: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b':')
    .remove(b'*');

/// The parameters of a query, as they were sent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Query(String);

impl Query {
    pub(crate) fn parse(query: Option<&str>) -> Self {
        Self(query.unwrap_or_default().to_owned())
    }

    /// A parameter that is there and not empty. Of several the first counts.
    pub(crate) fn get(&self, name: &str) -> Option<Cow<'_, str>> {
        let (_, value) = self.pairs().find(|(own, _)| own == name)?;
        (!value.is_empty()).then_some(value)
    }

    /// The query with parameters set, as it stands in a URL.
    pub(crate) fn with(&self, set: &[(&str, &str)]) -> String {
        let encoded = |name: &str, value: &str| {
            let encode = |text| utf8_percent_encode(text, VALUE);
            format!("{}={}", encode(name), encode(value))
        };
        let kept = self.pairs();
        let kept = kept.filter(|(name, _)| set.iter().all(|(own, _)| own != name));
        let pairs: Vec<_> = kept
            .map(|(name, value)| encoded(&name, &value))
            .chain(set.iter().map(|(name, value)| encoded(name, value)))
            .collect();
        pairs.join("&")
    }

    /// All of them, decoded, in their order.
    fn pairs(&self) -> form_urlencoded::Parse<'_> {
        form_urlencoded::parse(self.0.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters() {
        let query = Query::parse(Some("format=raw&filename=a%20b+c&format=car&empty=&x"));
        assert_eq!(query.get("format").as_deref(), Some("raw"));
        assert_eq!(query.get("filename").as_deref(), Some("a b c"));
        assert_eq!(query.get("empty"), None);
        assert_eq!(query.get("x"), None);
        assert_eq!(query.get("none"), None);
        assert_eq!(
            query.with(&[("format", "car")]),
            "filename=a%20b%20c&empty=&x=&format=car"
        );
        assert_eq!(Query::parse(None).with(&[("format", "raw")]), "format=raw");
        let bytes = Query::parse(Some("entity-bytes=0:*"));
        assert_eq!(bytes.with(&[]), "entity-bytes=0:*");
    }
}
