//! `<Error>`: the body of a refusal, and sometimes of a 200.

use super::walk;

/// What an error answer says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ErrorBody {
    /// S3's error code, such as `NoSuchKey`.
    pub code: String,
    /// For people.
    pub message: Option<String>,
    /// The region the request should have been signed for.
    pub region: Option<String>,
    /// The host the request should have gone to.
    pub endpoint: Option<String>,
    /// To quote to the provider's support.
    pub request_id: Option<String>,
}

/// Reads an error body; `None` where it is none of S3's.
pub fn parse_error(body: &[u8]) -> Option<ErrorBody> {
    let mut error = ErrorBody::default();
    let mut has_code = false;
    walk(body, |path, text| {
        // Some servers wrap it: <ErrorResponse><Error>…
        let Some(name) = path
            .strip_prefix("Error/")
            .or_else(|| path.strip_prefix("ErrorResponse/Error/"))
        else {
            return Ok(());
        };
        let text = text.trim();
        match name {
            "Code" => {
                text.clone_into(&mut error.code);
                has_code = true;
            }
            "Message" => error.message = short(text),
            "Region" => error.region = short(text),
            "Endpoint" => error.endpoint = short(text),
            "RequestId" => error.request_id = short(text),
            _ => {}
        }
        Ok(())
    })
    .ok()?;
    let sane = has_code
        && !error.code.is_empty()
        && error.code.len() <= 100
        && error.code.bytes().all(|b| b.is_ascii_graphic());
    sane.then_some(error)
}

/// Messages go into logs and onto terminals: one line, of bounded length.
fn short(text: &str) -> Option<String> {
    let text: String = text
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(300)
        .collect();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_code_message_region() {
        let error = parse_error(
            b"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>AuthorizationHeaderMalformed</Code>\
              <Message>expecting 'eu-west-1'</Message><Region>eu-west-1</Region>\
              <RequestId>R</RequestId><HostId>h</HostId></Error>",
        )
        .unwrap();
        assert_eq!(error.code, "AuthorizationHeaderMalformed");
        assert_eq!(error.message.as_deref(), Some("expecting 'eu-west-1'"));
        assert_eq!(error.region.as_deref(), Some("eu-west-1"));
        assert_eq!(error.request_id.as_deref(), Some("R"));
    }

    #[test]
    fn a_web_page_is_no_error_body() {
        for body in [
            &b""[..],
            b"<html><head><title>403</title></head></html>",
            b"<Error></Error>",
            b"<Error><Code></Code></Error>",
            b"<Error><Code>a\x1b[2J</Code></Error>",
            b"<Error><Code>NoSuchKey</Code>",
            b"{\"error\":\"x\"}",
        ] {
            assert_eq!(parse_error(body), None, "{}", String::from_utf8_lossy(body));
        }
    }

    #[test]
    fn control_characters_do_not_get_through() {
        let error =
            parse_error(b"<Error><Code>X</Code><Message>a&#x9;\nb</Message></Error>").unwrap();
        assert_eq!(error.message.as_deref(), Some("a  b"));
    }
}
