//! The XML of S3, read with hard limits and written by hand.
//!
//! Every parser is a pure function over bytes. No document type, no entity but the five of XML
//! itself, bounded depth and count: a hostile answer costs no more than its own size.

mod copy;
mod cors;
mod delete;
mod error;
mod list;
mod versions;

use std::fmt;

use quick_xml::Reader;
use quick_xml::escape::escape;
use quick_xml::events::Event;

pub use copy::parse_copy_result;
pub use cors::{CorsRule, parse_cors, write_cors};
pub use delete::{DeleteFailure, DeleteResult, parse_delete_result, write_delete};
pub use error::{ErrorBody, parse_error};
pub use list::{ListPage, Object, parse_list};
pub use versions::{ObjectVersion, VersionPage, parse_versions};

/// Deepest nesting. S3 needs five.
const MAX_DEPTH: usize = 12;
/// Most elements in a document. A page of 1,000 versions has some 15,000.
const MAX_ELEMENTS: usize = 100_000;

/// Why a document is none of S3's.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected XML: {0}")]
pub struct XmlError(String);

impl XmlError {
    fn new(message: impl fmt::Display) -> Self {
        Self(message.to_string())
    }
}

/// Walks a document and calls `visit` at the end of every element with the path from the root to
/// it (`Root/Child`, names without namespace prefix) and the text directly in it.
pub(crate) fn walk(
    document: &[u8],
    mut visit: impl FnMut(&str, &str) -> Result<(), XmlError>,
) -> Result<(), XmlError> {
    let document = str::from_utf8(document).map_err(|_| XmlError::new("not UTF-8"))?;
    let document = document.strip_prefix('\u{feff}').unwrap_or(document);
    let mut reader = Reader::from_str(document);
    reader.config_mut().expand_empty_elements = true;
    let mut path = String::new();
    let mut text = String::new();
    let mut depth = 0;
    let mut elements = 0;
    loop {
        match reader.read_event().map_err(XmlError::new)? {
            Event::Start(start) => {
                if depth == 0 && elements > 0 {
                    return Err(XmlError::new("more than one root element"));
                }
                depth += 1;
                elements += 1;
                if depth > MAX_DEPTH || elements > MAX_ELEMENTS {
                    return Err(XmlError::new("too deep or too many elements"));
                }
                if depth > 1 {
                    path.push('/');
                }
                path.push_str(start.local_name().as_ref());
                text.clear();
            }
            Event::End(_) => {
                visit(&path, &text)?;
                depth -= 1;
                path.truncate(path.rfind('/').unwrap_or(0));
                text.clear();
            }
            Event::Text(content) => text.push_str(&content.xml10_content()),
            Event::CData(content) => text.push_str(&content.xml10_content()),
            Event::GeneralRef(reference) => {
                let resolved = match reference.resolve_char_ref().map_err(XmlError::new)? {
                    Some(character) => character,
                    None => match &*reference {
                        "amp" => '&',
                        "lt" => '<',
                        "gt" => '>',
                        "apos" => '\'',
                        "quot" => '"',
                        _ => return Err(XmlError::new("an entity that XML does not define")),
                    },
                };
                text.push(resolved);
            }
            Event::DocType(_) => return Err(XmlError::new("a document type")),
            Event::Empty(_) | Event::Comment(_) | Event::Decl(_) | Event::PI(_) => {}
            Event::Eof if depth == 0 && elements > 0 => return Ok(()),
            Event::Eof => return Err(XmlError::new("the document ends early")),
        }
    }
}

/// Appends `<name>text</name>`.
fn push_element(out: &mut String, name: &str, text: &str) {
    for part in ["<", name, ">", &escape(text), "</", name, ">"] {
        out.push_str(part);
    }
}

/// Reads `true` and `false`.
fn parse_bool(text: &str) -> Result<bool, XmlError> {
    match text.trim() {
        "true" => Ok(true),
        "false" => Ok(false),
        other => Err(XmlError::new(format_args!(
            "{other:?} where true or false belongs"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn paths(document: &str) -> Result<Vec<String>, XmlError> {
        let mut seen = Vec::new();
        walk(document.as_bytes(), |path, text| {
            seen.push(format!("{path}={text}"));
            Ok(())
        })?;
        Ok(seen)
    }

    #[test]
    fn walks_in_order_with_namespaces_entities_and_cdata() {
        let seen = paths(
            "\u{feff}<?xml version=\"1.0\"?><s:A xmlns:s='x'><b> x&amp;&#x41; </b><c/><d><![CDATA[<&>]]></d></s:A>",
        );
        assert_eq!(seen.unwrap(), ["A/b= x&A ", "A/c=", "A/d=<&>", "A="]);
    }

    #[test]
    fn refuses_what_s3_never_sends() {
        for document in [
            "",
            "   ",
            "<a>",
            "<a><b></a></b>",
            "<a/><b/>",
            "<a>&lol;</a>",
            "<a>&</a>",
            "<!DOCTYPE a [<!ENTITY lol \"lol\">]><a>&lol;</a>",
            "<a>&#xD800;</a>",
            "just text",
            "<html><body>Sign in<br></body></html>",
        ] {
            assert!(paths(document).is_err(), "{document}");
        }
        let deep = format!("{}{}", "<a>".repeat(13), "</a>".repeat(13));
        assert!(paths(&deep).is_err());
        let many = format!("<a>{}</a>", "<b/>".repeat(MAX_ELEMENTS));
        assert!(paths(&many).is_err());
        assert!(walk(b"<a>\xff</a>", |_, _| Ok(())).is_err());
    }
}
