//! `<ListVersionsResult>`: a page of `ListObjectVersions`.

use std::time::SystemTime;

use super::list::decode;
use super::{XmlError, parse_bool, walk};
use crate::date;

/// A version of an object, or the marker that it was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ObjectVersion {
    /// The key.
    pub key: String,
    /// The version, `null` for one written before versioning was on.
    pub version_id: String,
    /// Whether it is the current one.
    pub is_latest: bool,
    /// Whether it is a delete marker, which has no bytes.
    pub is_delete_marker: bool,
    /// Size in bytes.
    pub size: u64,
    /// When it was written.
    pub modified: Option<SystemTime>,
}

/// A page of versions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VersionPage {
    /// Versions and delete markers, by key.
    pub versions: Vec<ObjectVersion>,
    /// Versions left out because their key is not UTF-8.
    pub undecodable: u64,
    /// Whether there is more.
    pub truncated: bool,
    /// Where the next page starts: a key, and a version of it.
    pub next: Option<(String, Option<String>)>,
}

/// Reads a page.
///
/// # Errors
/// [`XmlError`] where it is no such page or lacks what every page has.
pub fn parse_versions(body: &[u8]) -> Result<VersionPage, XmlError> {
    #[derive(Default)]
    struct Entry {
        key: Option<String>,
        version_id: Option<String>,
        is_latest: bool,
        is_delete_marker: bool,
        size: u64,
        modified: Option<SystemTime>,
    }
    let mut page = VersionPage::default();
    let mut entries = Vec::new();
    let mut entry = Entry::default();
    let mut truncated = None;
    let mut encoded = false;
    let (mut next_key, mut next_version) = (None, None);
    walk(body, |path, text| {
        let Some(name) = path.strip_prefix("ListVersionsResult/") else {
            return Ok(());
        };
        match name {
            "IsTruncated" => truncated = Some(parse_bool(text)?),
            "EncodingType" => encoded = text.trim().eq_ignore_ascii_case("url"),
            "NextKeyMarker" => next_key = Some(text.to_owned()),
            "NextVersionIdMarker" => next_version = Some(text.to_owned()),
            "Version/Key" | "DeleteMarker/Key" => entry.key = Some(text.to_owned()),
            "Version/VersionId" | "DeleteMarker/VersionId" => {
                entry.version_id = Some(text.to_owned());
            }
            "Version/IsLatest" | "DeleteMarker/IsLatest" => entry.is_latest = parse_bool(text)?,
            "Version/LastModified" | "DeleteMarker/LastModified" => {
                entry.modified = date::from_iso8601(text);
            }
            "Version/Size" => {
                entry.size = text
                    .trim()
                    .parse()
                    .map_err(|_| XmlError::new(format_args!("{text:?} as a size")))?;
            }
            "Version" | "DeleteMarker" => {
                entry.is_delete_marker = name == "DeleteMarker";
                entries.push(std::mem::take(&mut entry));
            }
            _ => {}
        }
        Ok(())
    })?;
    page.truncated = truncated.ok_or_else(|| XmlError::new("a page without IsTruncated"))?;
    for entry in entries {
        let (Some(key), Some(version_id)) = (entry.key, entry.version_id) else {
            return Err(XmlError::new("a version without key or version id"));
        };
        match String::from_utf8(decode(key, encoded)?) {
            Ok(key) => page.versions.push(ObjectVersion {
                key,
                version_id,
                is_latest: entry.is_latest,
                is_delete_marker: entry.is_delete_marker,
                size: entry.size,
                modified: entry.modified,
            }),
            Err(_) => page.undecodable += 1,
        }
    }
    if page.truncated {
        let key = next_key.ok_or_else(|| XmlError::new("a truncated page without a marker"))?;
        let key = String::from_utf8(decode(key, encoded)?)
            .map_err(|_| XmlError::new("a marker that is not UTF-8"))?;
        page.next = Some((key, next_version.filter(|version| !version.is_empty())));
    }
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_versions_and_markers() {
        let page = parse_versions(
            b"<ListVersionsResult><IsTruncated>true</IsTruncated><NextKeyMarker>k</NextKeyMarker>\
              <NextVersionIdMarker>v1</NextVersionIdMarker>\
              <Version><Key>k</Key><VersionId>v2</VersionId><IsLatest>false</IsLatest><Size>3</Size></Version>\
              <DeleteMarker><Key>k</Key><VersionId>v3</VersionId><IsLatest>true</IsLatest></DeleteMarker>\
              </ListVersionsResult>",
        )
        .unwrap();
        assert_eq!(page.versions.len(), 2);
        assert_eq!(page.versions[0].size, 3);
        assert!(page.versions[1].is_delete_marker && page.versions[1].is_latest);
        assert_eq!(page.next, Some(("k".into(), Some("v1".into()))));
    }

    #[test]
    fn refuses_gaps() {
        for body in [
            &b"<ListVersionsResult></ListVersionsResult>"[..],
            b"<ListVersionsResult><IsTruncated>true</IsTruncated></ListVersionsResult>",
            b"<ListVersionsResult><IsTruncated>false</IsTruncated><Version><Key>k</Key></Version></ListVersionsResult>",
        ] {
            assert!(parse_versions(body).is_err());
        }
    }
}
