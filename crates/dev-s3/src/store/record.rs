//! One stored object as one file: body, then metadata, then a footer.
//!
//! ```text
//! body (size bytes) | metadata (JSON) | length of the metadata (u32, big-endian) | "CBDEVS31"
//! ```
//!
//! The metadata comes last because digests are known only when the body has been received; a range
//! of the body is at its own offset in the file. Files appear by rename only, so a file without its
//! footer means damage from outside, never an interrupted write.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
};

use serde::{Deserialize, Serialize};

const MAGIC: &[u8; 8] = b"CBDEVS31";
const FOOTER: u64 = 12;

/// What is known of an object besides its bytes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Meta {
    pub(crate) key: String,
    pub(crate) size: u64,
    /// Without quotes.
    pub(crate) etag: String,
    /// Milliseconds since 1970 UTC.
    pub(crate) modified: u64,
    pub(crate) attributes: Attributes,
    /// Full-object checksums by header suffix (`sha256`, `crc32`, …), in base64.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) checksums: BTreeMap<String, String>,
}

/// What the uploader says of an object: kept and given back as it is.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Attributes {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_type: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) cache_control: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_disposition: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_encoding: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) content_language: Option<String>,
    /// An HTTP date.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) expires: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) storage_class: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) encryption: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(crate) user: BTreeMap<String, String>,
}

/// Writes metadata and footer after a body.
pub(crate) fn finish(file: &mut File, meta: &Meta) -> io::Result<()> {
    let mut tail = serde_json::to_vec(meta)?;
    let length = u32::try_from(tail.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    tail.extend_from_slice(&length.to_be_bytes());
    tail.extend_from_slice(MAGIC);
    file.write_all(&tail)
}

/// Reads the metadata of a file written by [`finish`].
pub(crate) fn read(file: &mut File) -> io::Result<Meta> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what.to_owned());
    let end = file.seek(SeekFrom::End(0))?;
    let footer_at = end
        .checked_sub(FOOTER)
        .ok_or_else(|| damaged("shorter than its footer"))?;
    file.seek(SeekFrom::Start(footer_at))?;
    let mut footer = [0; 12];
    file.read_exact(&mut footer)?;
    if &footer[4..] != MAGIC {
        return Err(damaged("does not end in the mark of an object"));
    }
    let length = u64::from(u32::from_be_bytes([
        footer[0], footer[1], footer[2], footer[3],
    ]));
    let meta_at = footer_at
        .checked_sub(length)
        .ok_or_else(|| damaged("metadata longer than the file"))?;
    file.seek(SeekFrom::Start(meta_at))?;
    let mut json = Vec::new();
    file.take(length).read_to_end(&mut json)?;
    let meta: Meta = serde_json::from_slice(&json)?;
    if meta.size != meta_at {
        return Err(damaged("body of another length than its metadata says"));
    }
    Ok(meta)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_round_trips_and_damage_is_seen() {
        let meta = Meta {
            key: "a/../b".into(),
            size: 5,
            etag: "e".into(),
            modified: 7,
            ..Meta::default()
        };
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"hello").unwrap();
        finish(&mut file, &meta).unwrap();
        assert_eq!(read(&mut file).unwrap(), meta);

        let end = file.seek(SeekFrom::End(0)).unwrap();
        file.set_len(end - 1).unwrap();
        assert_eq!(
            read(&mut file).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        file.set_len(3).unwrap();
        assert_eq!(
            read(&mut file).unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
    }
}
