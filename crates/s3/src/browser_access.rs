//! Which web pages may reach blocks by grant: a bucket's CORS rules, read and completed.

use cidbucket_blockstore::Result;
use cidbucket_presign::{Method, Seal, browser_headers};

use crate::S3Client;
use crate::xml::CorsRule;

/// The id of the rule that is ours, by which it is found again.
pub const CORS_RULE_ID: &str = "cidbucket";

/// What pages may read of an answer: what identifies it, how long it is, and when to try again.
const EXPOSED: [&str; 5] = [
    "ETag",
    "Content-Length",
    "Content-Range",
    "Retry-After",
    "x-amz-request-id",
];
/// Seconds for which a browser may keep a preflight; Chromium keeps none longer.
const MAX_AGE: u32 = 7_200;

/// The origins whose pages may read and write blocks by grant, as the bucket's rules say them:
/// each with at most one `*`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct BrowserAccess {
    /// Those that may send `GET` and `HEAD`, with a range.
    pub read: Vec<String>,
    /// Those that may also send `PUT`, with the headers of a write grant.
    pub write: Vec<String>,
}

impl BrowserAccess {
    /// What the rules allow: reads, and writes under `seal` (under any where it is `None`).
    ///
    /// A rule counts where it allows all of that by itself, since S3 goes by the first rule that
    /// fits a request.
    pub fn of(rules: &[CorsRule], seal: Option<Seal>) -> Self {
        let origins = |methods: &[Method]| {
            let mut origins: Vec<String> = rules
                .iter()
                .filter(|rule| {
                    methods.iter().all(|method| {
                        rule.allowed_methods.iter().any(|m| m == method.as_str())
                            && browser_headers(*method, seal)
                                .iter()
                                .all(|name| allows_header(rule, name))
                    })
                })
                .flat_map(|rule| rule.allowed_origins.iter().cloned())
                .collect();
            origins.sort();
            origins.dedup();
            origins
        };
        Self {
            read: origins(&[Method::Get, Method::Head]),
            write: origins(&[Method::Get, Method::Head, Method::Put]),
        }
    }

    /// Whether pages of `origin` (`https://app.example.org`) may read.
    pub fn reads(&self, origin: &str) -> bool {
        self.read.iter().any(|pattern| fits(pattern, origin))
    }

    /// Whether pages of `origin` may read and write.
    pub fn writes(&self, origin: &str) -> bool {
        self.write.iter().any(|pattern| fits(pattern, origin))
    }
}

impl CorsRule {
    /// The rule that lets pages of these origins use grants, and do nothing else: the methods and
    /// headers of grants under every seal.
    pub fn for_grants(origins: Vec<String>) -> Self {
        let mut headers = browser_headers(Method::Get, None);
        headers.extend(browser_headers(Method::Put, None));
        headers.sort_unstable();
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        Self {
            id: Some(CORS_RULE_ID.to_owned()),
            allowed_origins: origins,
            allowed_methods: texts(&["GET", "HEAD", "PUT"]),
            allowed_headers: texts(&headers),
            expose_headers: texts(&EXPOSED),
            max_age_seconds: Some(MAX_AGE),
        }
    }

    /// Whether both say the same, in whatever order: servers keep lists as sets.
    #[must_use]
    pub fn means_the_same(&self, other: &Self) -> bool {
        let set = |texts: &[String], fold: bool| {
            let mut texts: Vec<String> = texts
                .iter()
                .map(|text| {
                    if fold {
                        text.to_ascii_lowercase()
                    } else {
                        text.clone()
                    }
                })
                .collect();
            texts.sort();
            texts
        };
        let sets = |rule: &Self| {
            [
                set(&rule.allowed_origins, false),
                set(&rule.allowed_methods, false),
                set(&rule.allowed_headers, true),
                set(&rule.expose_headers, true),
            ]
        };
        sets(self) == sets(other) && self.max_age_seconds == other.max_age_seconds
    }
}

impl S3Client {
    /// Which web pages may reach blocks by grant, as far as the bucket's rules say it: one
    /// `GetBucketCors`. The seal is that of the write grants, where it is known.
    ///
    /// # Errors
    /// As [`Self::get_bucket_cors`].
    pub async fn browser_access(&self, seal: Option<Seal>) -> Result<BrowserAccess> {
        Ok(BrowserAccess::of(&self.get_bucket_cors().await?, seal))
    }
}

fn allows_header(rule: &CorsRule, name: &str) -> bool {
    rule.allowed_headers
        .iter()
        .any(|pattern| fits(&pattern.to_ascii_lowercase(), name))
}

/// Whether a pattern with at most one `*` fits the whole text.
fn fits(pattern: &str, text: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == text,
        Some((start, end)) => {
            text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(methods: &[&str], headers: &[&str]) -> CorsRule {
        let texts = |texts: &[&str]| texts.iter().map(|&text| text.to_owned()).collect();
        CorsRule {
            allowed_origins: vec!["https://*.example.org".into()],
            allowed_methods: texts(methods),
            allowed_headers: texts(headers),
            ..CorsRule::default()
        }
    }

    #[test]
    fn our_own_rule_is_enough_for_every_seal() {
        let rules = [CorsRule::for_grants(vec!["https://a.example".into()])];
        for seal in Seal::ALL.map(Some).into_iter().chain([None]) {
            let access = BrowserAccess::of(&rules, seal);
            assert!(access.reads("https://a.example") && access.writes("https://a.example"));
            assert!(!access.reads("https://a.example.org") && !access.writes("null"));
        }
        assert!(!rules[0].allowed_headers.contains(&"*".to_owned()));
        assert!(!rules[0].allowed_methods.contains(&"DELETE".to_owned()));
    }

    #[test]
    fn rules_of_others_count_where_they_are_enough() {
        let origin = "https://app.example.org";
        let access = |rule: CorsRule, seal| {
            let access = BrowserAccess::of(&[rule], Some(seal));
            (access.reads(origin), access.writes(origin))
        };
        let all = ["GET", "HEAD", "PUT"];
        let any = |methods: &[&str]| rule(methods, &["*"]);
        assert_eq!(access(any(&all), Seal::Header), (true, true));
        assert_eq!(access(any(&all[..2]), Seal::Checksum), (true, false));
        assert_eq!(access(any(&["GET", "PUT"]), Seal::Checksum), (false, false));
        let some = rule(
            &all,
            &[
                "Range",
                "Content-Type",
                "cache-control",
                "if-none-match",
                "x-amz-*",
            ],
        );
        assert_eq!(access(some.clone(), Seal::Checksum), (true, true));
        assert_eq!(access(some.clone(), Seal::PayloadHash), (true, true));
        assert_eq!(access(some.clone(), Seal::ChecksumMd5), (true, false));
        assert_eq!(access(some, Seal::Header), (true, false));
        assert_eq!(BrowserAccess::of(&[], None), BrowserAccess::default());
    }

    #[test]
    fn order_and_case_of_headers_do_not_matter() {
        let ours = CorsRule::for_grants(vec!["*".into()]);
        let mut kept = ours.clone();
        kept.id = None;
        kept.allowed_methods.reverse();
        kept.allowed_headers.reverse();
        kept.expose_headers = kept
            .expose_headers
            .iter()
            .map(|name| name.to_ascii_lowercase())
            .collect();
        assert!(ours.means_the_same(&kept));
        kept.allowed_headers.pop();
        assert!(!ours.means_the_same(&kept));
    }
}
