//! The JSON that container and instance endpoints and `credential_process` answer with.

use std::time::{Duration, SystemTime};

use cidbucket_blockstore::{Error, Result};
use serde::Deserialize;
use zeroize::Zeroize;

use super::fetch::senseless;
use super::{Issued, credentials};

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(super) struct Document {
    #[serde(default)]
    pub(super) code: Option<String>,
    #[serde(default)]
    pub(super) version: Option<u32>,
    #[serde(default)]
    access_key_id: String,
    #[serde(default)]
    secret_access_key: String,
    /// `Token` at the endpoints, `SessionToken` from a process.
    #[serde(default, alias = "SessionToken")]
    token: Option<String>,
    #[serde(default)]
    expiration: Option<String>,
}

impl Document {
    /// Reads an answer of `service`. What is wrong with it is said without quoting it.
    pub(super) fn parse(service: &str, json: &[u8]) -> Result<Self> {
        serde_json::from_slice(json).map_err(|error| {
            // serde quotes values of the wrong type; its category and place do not.
            senseless(
                service,
                &format!(
                    "not the expected JSON (line {}, column {})",
                    error.line(),
                    error.column()
                ),
            )
        })
    }

    /// The credentials.
    pub(super) fn issued(&self, service: &str) -> Result<Issued> {
        for (name, value) in [
            ("AccessKeyId", &self.access_key_id),
            ("SecretAccessKey", &self.secret_access_key),
        ] {
            if value.is_empty() {
                return Err(senseless(service, &format!("it has no {name}")));
            }
        }
        let credentials = credentials(
            &self.access_key_id,
            &self.secret_access_key,
            self.token.as_deref(),
        );
        match &self.expiration {
            None => Ok(Issued::new(credentials)),
            Some(text) => Ok(Issued::until(credentials, expiration(service, text)?)),
        }
    }
}

impl Drop for Document {
    fn drop(&mut self) {
        self.secret_access_key.zeroize();
        self.token.zeroize();
    }
}

/// Reads an end in ISO 8601: `2026-11-23T22:00:00Z`, with a fraction or an offset if need be.
pub(super) fn expiration(service: &str, text: &str) -> Result<SystemTime, Error> {
    timestamp(text).ok_or_else(|| senseless(service, &format!("Expiration {text:?} is no time")))
}

fn timestamp(text: &str) -> Option<SystemTime> {
    let text = text.trim();
    let time_at = text.find(['T', ' '])?;
    let offset_at = text[time_at..].find(['+', '-']).map(|at| time_at + at);
    let Some(at) = offset_at else {
        let utc = text.trim_end_matches('Z').replace(' ', "T") + "Z";
        return crate::date::from_iso8601(&utc);
    };
    let (local, offset) = text.split_at(at);
    let digits = offset[1..].replace(':', "");
    if digits.len() != 4 || !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let hours: u64 = digits[..2].parse().ok()?;
    let minutes: u64 = digits[2..].parse().ok()?;
    let shift = Duration::from_secs(hours * 3600 + minutes * 60);
    let local = crate::date::from_iso8601(&(local.replace(' ', "T") + "Z"))?;
    if offset.starts_with('+') {
        local.checked_sub(shift)
    } else {
        local.checked_add(shift)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    #[test]
    fn reads_the_times_that_tools_write() {
        for (text, seconds) in [
            ("2013-05-24T00:00:00Z", 1_369_353_600),
            ("2013-05-24T00:00:00.123Z", 1_369_353_600),
            ("2013-05-24T00:00:00", 1_369_353_600),
            ("2013-05-24T00:00:00+00:00", 1_369_353_600),
            ("2013-05-24T02:00:00+02:00", 1_369_353_600),
            ("2013-05-23T18:30:00.5-0530", 1_369_353_600),
        ] {
            let time = timestamp(text).unwrap_or_else(|| panic!("{text}"));
            assert_eq!(
                time.duration_since(UNIX_EPOCH).unwrap().as_secs(),
                seconds,
                "{text}"
            );
        }
        for text in [
            "",
            "soon",
            "2013-05-24",
            "2013-05-24T00:00:00+2",
            "2013-05-24T00:00:00+ab:cd",
        ] {
            assert!(timestamp(text).is_none(), "{text}");
        }
    }

    #[test]
    fn errors_quote_nothing() {
        for json in [
            r#"{"AccessKeyId":"AKID","SecretAccessKey":{"canary":1}}"#,
            r#"{"AccessKeyId":"AKID","SecretAccessKey":"canary"#,
            r#"{"SecretAccessKey":"canary"}"#,
            "canary",
        ] {
            let error = Document::parse("test", json.as_bytes())
                .and_then(|document| document.issued("test"))
                .unwrap_err()
                .to_string();
            assert!(!error.contains("canary"), "{error}");
        }
    }
}
