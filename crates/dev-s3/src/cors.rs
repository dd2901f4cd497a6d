//! Cross-origin resource sharing by a bucket's rules.
//!
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/cors.html>,
//! <https://fetch.spec.whatwg.org/#http-cors-protocol>.

use http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use s3s::{S3Result, dto::CORSRule, s3_error};
use serde::{Deserialize, Serialize};

/// One rule. A request is under the first rule that matches it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Rule {
    id: Option<String>,
    /// May have one `*` each.
    origins: Vec<String>,
    methods: Vec<String>,
    /// May have one `*` each.
    headers: Vec<String>,
    expose: Vec<String>,
    /// Seconds.
    max_age: Option<i32>,
}

impl Rule {
    pub(crate) fn from_dto(rule: CORSRule) -> S3Result<Self> {
        let known = ["GET", "PUT", "HEAD", "POST", "DELETE"];
        if let Some(method) = rule
            .allowed_methods
            .iter()
            .find(|m| !known.contains(&m.as_str()))
        {
            return Err(s3_error!(InvalidRequest, "no CORS for the method {method}"));
        }
        let headers = rule.allowed_headers.unwrap_or_default();
        let mut patterns = rule.allowed_origins.iter().chain(&headers);
        if patterns.any(|pattern| pattern.matches('*').count() > 1) {
            return Err(s3_error!(
                InvalidRequest,
                "at most one * in an AllowedOrigin or AllowedHeader"
            ));
        }
        Ok(Self {
            id: rule.id,
            origins: rule.allowed_origins,
            methods: rule.allowed_methods,
            headers,
            expose: rule.expose_headers.unwrap_or_default(),
            max_age: rule.max_age_seconds,
        })
    }

    pub(crate) fn to_dto(&self) -> CORSRule {
        CORSRule {
            id: self.id.clone(),
            allowed_origins: self.origins.clone(),
            allowed_methods: self.methods.clone(),
            allowed_headers: Some(self.headers.clone()),
            expose_headers: Some(self.expose.clone()),
            max_age_seconds: self.max_age,
        }
    }

    fn allows(&self, origin: &str, method: &str) -> bool {
        self.methods.iter().any(|allowed| allowed == method)
            && self.origins.iter().any(|pattern| matches(pattern, origin))
    }

    fn allows_header(&self, name: &str) -> bool {
        let name = name.to_ascii_lowercase();
        let mut allowed = self.headers.iter();
        allowed.any(|pattern| matches(&pattern.to_ascii_lowercase(), &name))
    }

    fn write(&self, origin: &HeaderValue, headers: &mut HeaderMap) {
        if self.origins.iter().any(|allowed| allowed == "*") {
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_ORIGIN,
                HeaderValue::from_static("*"),
            );
        } else {
            headers.insert(header::ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
            headers.insert(
                header::ACCESS_CONTROL_ALLOW_CREDENTIALS,
                HeaderValue::from_static("true"),
            );
        }
        set(
            headers,
            header::ACCESS_CONTROL_ALLOW_METHODS,
            &self.methods.join(", "),
        );
        if !self.expose.is_empty() {
            set(
                headers,
                header::ACCESS_CONTROL_EXPOSE_HEADERS,
                &self.expose.join(", "),
            );
        }
        if let Some(seconds) = self.max_age {
            set(
                headers,
                header::ACCESS_CONTROL_MAX_AGE,
                &seconds.to_string(),
            );
        }
        headers.append(
            header::VARY,
            HeaderValue::from_static(
                "Origin, Access-Control-Request-Headers, Access-Control-Request-Method",
            ),
        );
    }
}

/// The headers that answer a preflight, or `None` if no rule allows the request it announces.
pub(crate) fn preflight(rules: &[Rule], request: &HeaderMap) -> Option<HeaderMap> {
    let origin = request.get(header::ORIGIN)?;
    let method = text(request, header::ACCESS_CONTROL_REQUEST_METHOD)?;
    let wanted = text(request, header::ACCESS_CONTROL_REQUEST_HEADERS).unwrap_or_default();
    let names: Vec<_> = wanted
        .split(',')
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .collect();
    let origin_text = origin.to_str().ok()?;
    let rule = rules.iter().find(|rule| {
        rule.allows(origin_text, method) && names.iter().all(|name| rule.allows_header(name))
    })?;
    let mut headers = HeaderMap::new();
    rule.write(origin, &mut headers);
    if !names.is_empty() {
        let names = names.join(", ").to_ascii_lowercase();
        set(&mut headers, header::ACCESS_CONTROL_ALLOW_HEADERS, &names);
    }
    Some(headers)
}

/// Adds to the answer what lets the page that asked read it.
pub(crate) fn decorate(
    rules: &[Rule],
    origin: &HeaderValue,
    method: &Method,
    answer: &mut HeaderMap,
) {
    let Ok(text) = origin.to_str() else { return };
    let mut rules = rules.iter();
    if let Some(rule) = rules.find(|rule| rule.allows(text, method.as_str())) {
        rule.write(origin, answer);
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name)?.to_str().ok()
}

fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    // What a rule holds came in XML and may be no header value: then it is left out.
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(name, value);
    }
}

/// Whether a pattern with at most one `*` matches the whole text.
fn matches(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}
