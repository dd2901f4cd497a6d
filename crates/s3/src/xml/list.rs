//! `<ListBucketResult>`: a page of `ListObjectsV2`.

use std::time::SystemTime;

use super::{XmlError, parse_bool, walk};
use crate::date;

/// An object of a listing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Object {
    /// The key.
    pub key: String,
    /// Size in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Option<SystemTime>,
    /// The entity tag, with its quotes.
    pub etag: Option<String>,
}

/// A page of a listing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ListPage {
    /// The objects, by key in ascending byte order.
    pub objects: Vec<Object>,
    /// Prefixes up to the delimiter, where one was asked for.
    pub common_prefixes: Vec<String>,
    /// Objects left out because their key is not UTF-8.
    pub undecodable: u64,
    /// Whether there is more.
    pub truncated: bool,
    /// What to ask the next page with.
    pub next_token: Option<String>,
    /// The page's last key as bytes, whether it was left out or not.
    pub(crate) last_key: Option<Vec<u8>>,
}

/// Reads a page.
///
/// # Errors
/// [`XmlError`] where it is no such page, lacks what every page has, or is not in order.
pub fn parse_list(body: &[u8]) -> Result<ListPage, XmlError> {
    let mut page = ListPage::default();
    let mut truncated = None;
    let mut encoded = false;
    let mut key: Option<String> = None;
    let mut size = None;
    let mut modified = None;
    let mut etag = None;
    // The element that says whether keys are encoded may come after them.
    let mut objects = Vec::new();
    let mut prefixes = Vec::new();
    let mut is_list = false;
    walk(body, |path, text| {
        if path == "ListBucketResult" {
            is_list = true;
        }
        let Some(name) = path.strip_prefix("ListBucketResult/") else {
            return Ok(());
        };
        match name {
            "IsTruncated" => truncated = Some(parse_bool(text)?),
            "NextContinuationToken" => page.next_token = Some(text.to_owned()),
            "EncodingType" => encoded = text.trim().eq_ignore_ascii_case("url"),
            "Contents/Key" => key = Some(text.to_owned()),
            "Contents/Size" => {
                size = Some(
                    text.trim()
                        .parse()
                        .map_err(|_| XmlError::new(format_args!("{text:?} as a size")))?,
                );
            }
            "Contents/LastModified" => modified = date::from_iso8601(text),
            "Contents/ETag" => etag = Some(text.to_owned()),
            "Contents" => {
                let (Some(key), Some(size)) = (key.take(), size.take()) else {
                    return Err(XmlError::new("an object without key or size"));
                };
                objects.push((key, size, modified.take(), etag.take()));
            }
            "CommonPrefixes/Prefix" => prefixes.push(text.to_owned()),
            _ => {}
        }
        Ok(())
    })?;
    if !is_list {
        return Err(XmlError::new("no ListBucketResult"));
    }
    page.truncated = truncated.ok_or_else(|| XmlError::new("a page without IsTruncated"))?;
    page.next_token.take_if(|token| token.is_empty());

    for (key, size, modified, etag) in objects {
        let raw = decode(key, encoded)?;
        if page.last_key.as_ref().is_some_and(|last| *last >= raw) {
            return Err(XmlError::new("keys that repeat or are not in order"));
        }
        match String::from_utf8(raw.clone()) {
            Ok(key) => page.objects.push(Object {
                key,
                size,
                modified,
                etag,
            }),
            Err(_) => page.undecodable += 1,
        }
        page.last_key = Some(raw);
    }
    for prefix in prefixes {
        if let Ok(prefix) = String::from_utf8(decode(prefix, encoded)?) {
            page.common_prefixes.push(prefix);
        }
    }
    Ok(page)
}

/// Undoes `encoding-type=url`, which is form encoding: a space may be `+` or `%20`.
pub(super) fn decode(text: String, encoded: bool) -> Result<Vec<u8>, XmlError> {
    if !encoded {
        return Ok(text.into_bytes());
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                match (digit(bytes.next()), digit(bytes.next())) {
                    (Some(high), Some(low)) => u8::try_from(high << 4 | low).unwrap_or(0),
                    _ => return Err(XmlError::new("a key with a broken percent escape")),
                }
            }
            other => other,
        });
    }
    Ok(decoded)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rest: &str) -> Result<ListPage, XmlError> {
        parse_list(
            format!(
                "<ListBucketResult xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Name>b</Name>\
                 {rest}</ListBucketResult>"
            )
            .as_bytes(),
        )
    }

    fn object(key: &str) -> String {
        format!(
            "<Contents><Key>{key}</Key><LastModified>2009-10-12T17:50:30.000Z</LastModified>\
             <ETag>&quot;e&quot;</ETag><Size>7</Size><Owner><ID>x</ID></Owner></Contents>"
        )
    }

    #[test]
    fn reads_a_page() {
        let page = page(&format!(
            "<IsTruncated>true</IsTruncated><NextContinuationToken>t&amp;/=</NextContinuationToken>\
             {}{}<EncodingType>url</EncodingType><CommonPrefixes><Prefix>x%2F</Prefix></CommonPrefixes>",
            object("a%2Fb+c%2B"),
            object("b%FF"),
        ))
        .unwrap();
        assert_eq!(page.objects.len(), 1);
        assert_eq!(page.objects[0].key, "a/b c+");
        assert_eq!(page.objects[0].size, 7);
        assert_eq!(page.objects[0].etag.as_deref(), Some("\"e\""));
        assert!(page.objects[0].modified.is_some());
        assert_eq!(page.undecodable, 1);
        assert_eq!(page.next_token.as_deref(), Some("t&/="));
        assert_eq!(page.common_prefixes, ["x/"]);
        assert!(page.truncated);
    }

    #[test]
    fn keys_are_taken_as_they_are_without_encoding_type() {
        let page = page(&format!(
            "<IsTruncated>false</IsTruncated>{}",
            object("a+%41")
        ))
        .unwrap();
        assert_eq!(page.objects[0].key, "a+%41");
    }

    #[test]
    fn refuses_disorder_and_gaps() {
        let end = "<IsTruncated>false</IsTruncated>";
        for rest in [
            String::new(),
            "<IsTruncated>maybe</IsTruncated>".into(),
            format!("{end}{}{}", object("b"), object("a")),
            format!("{end}{}{}", object("a"), object("a")),
            format!("{end}<Contents><Key>k</Key></Contents>"),
            format!("{end}<Contents><Key>k</Key><Size>-1</Size></Contents>"),
            format!("{end}<EncodingType>url</EncodingType>{}", object("%4")),
        ] {
            assert!(page(&rest).is_err(), "{rest}");
        }
        assert!(parse_list(b"<html><body>hi</body></html>").is_err());
    }
}
