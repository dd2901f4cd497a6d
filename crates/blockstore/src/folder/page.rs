//! Listing a folder: shard after shard, in the order of their names.

use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::path::Path;
use std::vec;

use super::Sharding;
use super::files::{Files, SHARDING, TEMP, failed};
use crate::{Cursor, Error, Listed, Page, Report, Result, raw_cid};

/// A page ends with the shard in which it reaches this many blocks.
const PAGE: usize = 1000;
/// Kubo's files beside the shards.
const KUBOS: [&str; 3] = ["_README", "diskUsage.cache", ".temp"];
/// The folder of the records that are kept beside the blocks.
const RECORDS: &str = ".cidbucket";
/// How the temporary files of old versions of Kubo begin, which lay among the blocks.
const KUBOS_TEMP: &str = "put-";

/// The state of a listing between two pages.
pub(super) struct Walk {
    /// A cursor is the name of the last shard listed.
    after: String,
    /// The shards left; `None` before the root was read.
    shards: Option<vec::IntoIter<String>>,
}

impl Walk {
    /// # Errors
    /// [`Error::Invalid`] where `from` is no cursor of such a folder.
    pub(super) fn new(sharding: Sharding, from: &Cursor) -> Result<Self> {
        if from.is_start() || sharding.is_shard(from.as_str()) {
            return Ok(Self {
                after: from.as_str().to_owned(),
                shards: None,
            });
        }
        Err(Error::Invalid(
            Report::new("list", "not a cursor of this store; start without one")
                .with_key(from.as_str())
                .into(),
        ))
    }

    pub(super) fn next_page(&mut self, files: &Files) -> Result<Option<Page>> {
        let mut page = Page {
            blocks: Vec::new(),
            foreign: 0,
            cursor: Cursor::start(),
        };
        let shards = if let Some(shards) = &mut self.shards {
            shards
        } else {
            let (shards, foreign) = read_root(files, &self.after)?;
            if self.after.is_empty() {
                page.foreign = foreign;
            }
            self.shards.insert(shards.into_iter())
        };
        while page.blocks.len() < PAGE {
            let Some(shard) = shards.next() else { break };
            read_shard(files, &shard, &mut page)?;
            self.after = shard;
        }
        if page.blocks.is_empty() && page.foreign == 0 {
            return Ok(None);
        }
        if self.after.is_empty() {
            // Nothing but foreign files in the root.
            self.after = files.sharding().last_shard();
        }
        page.cursor = Cursor::new(self.after.as_str());
        Ok(Some(page))
    }
}

/// The shards behind `after` in order, and the number of foreign names beside them.
fn read_root(files: &Files, after: &str) -> Result<(Vec<String>, u64)> {
    files.require("list")?;
    let mut shards = Vec::new();
    let mut foreign = 0;
    let root = files.root();
    for entry in fs::read_dir(root).map_err(|error| failed("list", root, error))? {
        let entry = entry.map_err(|error| failed("list", root, error))?;
        let name = entry.file_name();
        let known = |name: &OsStr| {
            name == SHARDING || name == TEMP || name == RECORDS || KUBOS.iter().any(|k| name == *k)
        };
        match name.to_str() {
            // Not through a link: what is behind it is outside of the store.
            Some(name)
                if files.sharding().is_shard(name)
                    && entry.file_type().is_ok_and(|kind| kind.is_dir()) =>
            {
                if name > after {
                    shards.push(name.to_owned());
                }
            }
            _ if known(&name) => {}
            _ => foreign += 1,
        }
    }
    shards.sort_unstable();
    Ok((shards, foreign))
}

fn read_shard(files: &Files, shard: &str, page: &mut Page) -> Result<()> {
    let dir = files.root().join(shard);
    let wrap = |error| failed("list", &dir, error);
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        // An empty shard may be removed at any time.
        Err(error) if error.kind() == ErrorKind::NotFound => return files.require("list"),
        Err(error) => return Err(wrap(error)),
    };
    for entry in entries {
        let entry = entry.map_err(wrap)?;
        let name = entry.file_name();
        let multihash =
            (name.to_str()).and_then(|name| files.sharding().multihash(&format!("{shard}/{name}")));
        let Some(multihash) = multihash else {
            if !name.as_encoded_bytes().starts_with(KUBOS_TEMP.as_bytes()) {
                page.foreign += 1;
            }
            continue;
        };
        match fs::symlink_metadata(dir.join(Path::new(&name))) {
            Ok(metadata) if metadata.is_file() => page.blocks.push(Listed {
                cid: raw_cid(multihash),
                size: metadata.len(),
                modified: metadata.modified().ok(),
            }),
            Ok(_) => page.foreign += 1,
            // Deleted since the directory was read.
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(wrap(error)),
        }
    }
    Ok(())
}
