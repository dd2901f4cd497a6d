//! `<CopyObjectResult>`: the answer to `CopyObject`.

use super::{XmlError, walk};

/// Reads the answer; the new object's entity tag.
///
/// # Errors
/// [`XmlError`] where it is no such answer.
pub fn parse_copy_result(body: &[u8]) -> Result<Option<String>, XmlError> {
    let mut is_result = false;
    let mut etag = None;
    walk(body, |path, text| {
        match path {
            "CopyObjectResult" => is_result = true,
            "CopyObjectResult/ETag" => etag = Some(text.trim().to_owned()),
            _ => {}
        }
        Ok(())
    })?;
    if is_result {
        Ok(etag)
    } else {
        Err(XmlError::new("no CopyObjectResult"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_entity_tag() {
        let body = b"<CopyObjectResult><ETag>&quot;e&quot;</ETag></CopyObjectResult>";
        assert_eq!(parse_copy_result(body), Ok(Some("\"e\"".into())));
        assert!(parse_copy_result(b"<Error><Code>X</Code></Error>").is_err());
    }
}
