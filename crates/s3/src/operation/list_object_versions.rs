//! `ListObjectVersions`.

use cidbucket_blockstore::{Error, Report, Result};

use super::{Call, Operation};
use crate::S3Client;
use crate::failure::{no_error_within, unfit};
use crate::xml::{VersionPage, parse_versions};

/// Which versions to list.
#[derive(Debug, Clone, Default)]
#[non_exhaustive]
pub struct ListObjectVersions<'a> {
    /// Only keys that begin with this.
    pub prefix: &'a str,
    /// Where the page before said to go on: [`VersionPage::next`].
    pub after: Option<(&'a str, Option<&'a str>)>,
    /// Most versions of a page; S3's own limit of 1,000 where there is none.
    pub max_keys: Option<u16>,
}

impl<'a> ListObjectVersions<'a> {
    /// All versions of keys that begin with `prefix`.
    pub fn with_prefix(prefix: &'a str) -> Self {
        Self {
            prefix,
            ..Self::default()
        }
    }
}

impl S3Client {
    /// Lists a page of object versions and delete markers.
    ///
    /// # Errors
    /// `Protocol` where the page says to go on where it began.
    pub async fn list_object_versions(&self, list: &ListObjectVersions<'_>) -> Result<VersionPage> {
        let max_keys = list.max_keys.map(|max| max.to_string());
        let mut query = vec![
            ("versions", ""),
            ("encoding-type", "url"),
            ("prefix", list.prefix),
        ];
        let optional = [
            ("key-marker", list.after.map(|(key, _)| key)),
            (
                "version-id-marker",
                list.after.and_then(|(_, version)| version),
            ),
            ("max-keys", max_keys.as_deref()),
        ];
        query.extend(
            optional
                .into_iter()
                .filter_map(|(name, value)| Some((name, value?))),
        );
        let call = Call {
            query: &query,
            ..Call::new(Operation::ListObjectVersions, "")
        };
        let page = self
            .call(&call, |answer| {
                no_error_within(&answer)?;
                parse_versions(answer.body()).map_err(|error| unfit(error.to_string()))
            })
            .await
            .map_err(|failed| failed.into_error())?;
        let next = page
            .next
            .as_ref()
            .map(|(key, version)| (key.as_str(), version.as_deref()));
        if next.is_some() && next == list.after {
            return Err(Error::Protocol(
                Report::new(
                    Operation::ListObjectVersions.name(),
                    "the page says to go on where it began",
                )
                .with_key(list.prefix)
                .into(),
            ));
        }
        Ok(page)
    }
}
