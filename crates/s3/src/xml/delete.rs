//! `<Delete>` and `<DeleteResult>`: many deletes in one request.

use std::fmt::Write;

use super::{XmlError, push_element, walk};

/// A key that was not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeleteFailure {
    /// The key.
    pub key: String,
    /// S3's error code.
    pub code: String,
    /// For people.
    pub message: String,
}

/// The answer to `DeleteObjects`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct DeleteResult {
    /// Keys that are gone. In quiet mode servers leave these out.
    pub deleted: Vec<String>,
    /// Keys that are not.
    pub failed: Vec<DeleteFailure>,
}

/// Writes the body of the request.
pub fn write_delete<'a>(keys: impl IntoIterator<Item = &'a str>) -> String {
    let mut out = String::from("<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for key in keys {
        out.push_str("<Object><Key>");
        for character in key.chars() {
            match character {
                '&' => out.push_str("&amp;"),
                '<' => out.push_str("&lt;"),
                '>' => out.push_str("&gt;"),
                // Readers turn a bare carriage return into a line feed.
                control if control.is_control() => {
                    let _ = write!(out, "&#{};", u32::from(control));
                }
                other => out.push(other),
            }
        }
        out.push_str("</Key></Object>");
    }
    // Verbose, so that each key has its own answer: some servers leave out what they did not do.
    push_element(&mut out, "Quiet", "false");
    out.push_str("</Delete>");
    out
}

/// Reads the answer.
///
/// # Errors
/// [`XmlError`] where it is no such answer.
pub fn parse_delete_result(body: &[u8]) -> Result<DeleteResult, XmlError> {
    let mut result = DeleteResult::default();
    let mut is_result = false;
    let (mut key, mut code, mut message) = (None, None, None);
    walk(body, |path, text| {
        match path {
            "DeleteResult" => is_result = true,
            "DeleteResult/Deleted/Key" | "DeleteResult/Error/Key" => key = Some(text.to_owned()),
            "DeleteResult/Error/Code" => code = Some(text.trim().to_owned()),
            "DeleteResult/Error/Message" => message = Some(text.trim().to_owned()),
            "DeleteResult/Deleted" => {
                let key = key
                    .take()
                    .ok_or_else(|| XmlError::new("Deleted without Key"))?;
                result.deleted.push(key);
            }
            "DeleteResult/Error" => {
                let key = key
                    .take()
                    .ok_or_else(|| XmlError::new("Error without Key"))?;
                result.failed.push(DeleteFailure {
                    key,
                    code: code.take().unwrap_or_default(),
                    message: message.take().unwrap_or_default(),
                });
            }
            _ => {}
        }
        Ok(())
    })?;
    if is_result {
        Ok(result)
    } else {
        Err(XmlError::new("no DeleteResult"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_escaped_keys() {
        assert_eq!(
            write_delete(["a&<b>", "c\r"]),
            "<Delete xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\"><Object><Key>a&amp;&lt;b&gt;</Key>\
             </Object><Object><Key>c&#13;</Key></Object><Quiet>false</Quiet></Delete>"
        );
    }

    #[test]
    fn reads_per_key_results() {
        let result = parse_delete_result(
            b"<DeleteResult><Deleted><Key>a</Key></Deleted><Error><Key>b</Key><Code>AccessDenied</Code>\
              <Message>no</Message></Error></DeleteResult>",
        )
        .unwrap();
        assert_eq!(result.deleted, ["a"]);
        assert_eq!(
            result.failed,
            [DeleteFailure {
                key: "b".into(),
                code: "AccessDenied".into(),
                message: "no".into()
            }]
        );
        assert!(
            parse_delete_result(b"<DeleteResult/>")
                .unwrap()
                .deleted
                .is_empty()
        );
        assert!(parse_delete_result(b"<Error><Code>X</Code></Error>").is_err());
        assert!(parse_delete_result(b"<DeleteResult><Deleted/></DeleteResult>").is_err());
    }
}
