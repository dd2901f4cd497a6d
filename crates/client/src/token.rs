//! The token with which a service knows its client.

use std::fmt;
use std::path::Path;

use cidbucket_blockstore::{Error, Report, Result};
use http::HeaderValue;
use zeroize::Zeroizing;

/// A bearer token. It is sent to the service and to nobody else, and shown to nobody.
#[derive(Clone)]
pub struct Token(HeaderValue);

impl Token {
    /// A token from its text, of printable ASCII without spaces.
    ///
    /// # Errors
    /// [`Error::Invalid`] where the text is none; it is not repeated in the error.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        let invalid = || {
            let message = "the token is empty, or has characters that no token has";
            Error::Invalid(Report::new("read token", message).into())
        };
        if text.is_empty() || !text.bytes().all(|b| b.is_ascii_graphic()) {
            return Err(invalid());
        }
        let value = Zeroizing::new(format!("Bearer {text}"));
        let mut value = HeaderValue::from_str(&value).map_err(|_| invalid())?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The token in a file, with or without an end of line.
    ///
    /// # Errors
    /// [`Error::Io`] where the file cannot be read; as [`Self::new`].
    pub fn from_file(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| {
            let report = Report::new("read token", "cannot read the file");
            Error::Io(
                report
                    .with_key(path.display().to_string())
                    .with_source(error)
                    .into(),
            )
        })?;
        Self::new(&Zeroizing::new(text))
    }

    /// The value of the `Authorization` header.
    pub(crate) fn header(&self) -> HeaderValue {
        self.0.clone()
    }
}

/// Shows nothing.
impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_not_shown() {
        let token = Token::new(" canary.x\n").unwrap();
        assert!(!format!("{token:?}{:?}", token.header()).contains("canary"));
        assert_eq!(token.header().as_bytes(), b"Bearer canary.x");
        for text in ["", " \n", "canary x", "canary\u{e9}", "canary\r\nx: y"] {
            let error = Token::new(text).unwrap_err();
            assert!(matches!(error, Error::Invalid(_)));
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_token_in_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("token");
        assert!(matches!(Token::from_file(&path), Err(Error::Io(_))));
        std::fs::write(&path, "abc\n").unwrap();
        assert_eq!(
            Token::from_file(&path).unwrap().header().as_bytes(),
            b"Bearer abc"
        );
    }
}
