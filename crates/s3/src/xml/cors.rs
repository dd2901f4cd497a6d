//! `<CORSConfiguration>`: which web origins may talk to the bucket.

use super::{XmlError, push_element, walk};

/// A rule of a bucket's CORS configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CorsRule {
    /// A name, to find the rule again.
    pub id: Option<String>,
    /// Origins, each with at most one `*`.
    pub allowed_origins: Vec<String>,
    /// Methods: GET, PUT, HEAD, POST, DELETE.
    pub allowed_methods: Vec<String>,
    /// Request headers, each with at most one `*`.
    pub allowed_headers: Vec<String>,
    /// Response headers that scripts may read.
    pub expose_headers: Vec<String>,
    /// How long a browser may remember a preflight, in seconds.
    pub max_age_seconds: Option<u32>,
}

/// Writes a configuration.
pub fn write_cors(rules: &[CorsRule]) -> String {
    let mut out =
        String::from("<CORSConfiguration xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    for rule in rules {
        out.push_str("<CORSRule>");
        if let Some(id) = &rule.id {
            push_element(&mut out, "ID", id);
        }
        for (name, values) in [
            ("AllowedOrigin", &rule.allowed_origins),
            ("AllowedMethod", &rule.allowed_methods),
            ("AllowedHeader", &rule.allowed_headers),
            ("ExposeHeader", &rule.expose_headers),
        ] {
            for value in values {
                push_element(&mut out, name, value);
            }
        }
        if let Some(seconds) = rule.max_age_seconds {
            push_element(&mut out, "MaxAgeSeconds", &seconds.to_string());
        }
        out.push_str("</CORSRule>");
    }
    out.push_str("</CORSConfiguration>");
    out
}

/// Reads a configuration.
///
/// # Errors
/// [`XmlError`] where it is none.
pub fn parse_cors(body: &[u8]) -> Result<Vec<CorsRule>, XmlError> {
    let mut rules = Vec::new();
    let mut rule = CorsRule::default();
    let mut is_cors = false;
    walk(body, |path, text| {
        if path == "CORSConfiguration" {
            is_cors = true;
        }
        let Some(name) = path.strip_prefix("CORSConfiguration/CORSRule") else {
            return Ok(());
        };
        let text = text.trim();
        match name {
            "/ID" => rule.id = Some(text.to_owned()).filter(|id| !id.is_empty()),
            "/AllowedOrigin" => rule.allowed_origins.push(text.to_owned()),
            "/AllowedMethod" => rule.allowed_methods.push(text.to_owned()),
            "/AllowedHeader" => rule.allowed_headers.push(text.to_owned()),
            "/ExposeHeader" => rule.expose_headers.push(text.to_owned()),
            "/MaxAgeSeconds" => rule.max_age_seconds = text.parse().ok(),
            "" => rules.push(std::mem::take(&mut rule)),
            _ => {}
        }
        Ok(())
    })?;
    if is_cors {
        Ok(rules)
    } else {
        Err(XmlError::new("no CORSConfiguration"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trips() {
        let rules = [
            CorsRule {
                id: Some("a & b".into()),
                allowed_origins: vec!["https://a.example".into(), "*".into()],
                allowed_methods: vec!["GET".into(), "PUT".into()],
                allowed_headers: vec!["*".into()],
                expose_headers: vec!["ETag".into()],
                max_age_seconds: Some(3000),
            },
            CorsRule::default(),
        ];
        assert_eq!(parse_cors(write_cors(&rules).as_bytes()).unwrap(), rules);
        assert!(parse_cors(b"<Error/>").is_err());
    }
}
