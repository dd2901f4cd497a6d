//! Multipart uploads: parts wait in `uploads/ID/` until they become one object.
//!
//! A part is a file as an object is (see `record`), so parts survive a restart too.
//! <https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html>

use std::{
    fs::{self, File},
    io::Seek,
    path::{Path, PathBuf},
};

use serde::{Deserialize, Serialize};

use super::{
    bucket::{Bucket, UPLOAD, UPLOADS, seal, sync_dir, write_json},
    error::{Error, Result, io},
    record::{self, Attributes, Meta},
    staged::{Algorithm, Staged, Staging},
};
use crate::clock;

/// A started upload, in `upload.json`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Upload {
    pub(crate) key: String,
    /// Milliseconds since 1970 UTC.
    pub(crate) initiated: u64,
    pub(crate) attributes: Attributes,
}

/// A part that has arrived.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) number: u16,
    pub(crate) meta: Meta,
}

impl Bucket {
    /// Starts an upload and gives its id.
    pub(crate) fn start_upload(&self, key: &str, attributes: Attributes) -> Result<String> {
        let uploads = self.dir.join(UPLOADS);
        let dir = tempfile::Builder::new()
            .prefix("u")
            .rand_bytes(24)
            .tempdir_in(&uploads)
            .map_err(|e| match e.kind() {
                std::io::ErrorKind::NotFound => Error::NoSuchBucket,
                _ => io("cannot make a folder in", &uploads)(e),
            })?;
        let upload = Upload {
            key: key.to_owned(),
            initiated: clock::now(),
            attributes,
        };
        let path = dir.path().join(UPLOAD);
        write_json(dir.path(), &path, &upload, self.sync()).map_err(io("cannot write", &path))?;
        sync_dir(&uploads, self.sync())?;
        let dir = dir.keep();
        let id = dir.file_name().and_then(|name| name.to_str());
        Ok(id.unwrap_or_default().to_owned())
    }

    /// The upload with this id, if it is for this key.
    pub(crate) fn upload(&self, key: &str, id: &str) -> Result<Upload> {
        let path = self.upload_dir(id)?.join(UPLOAD);
        let json = fs::read(&path).map_err(|_| Error::NoSuchUpload)?;
        let upload: Upload =
            serde_json::from_slice(&json).map_err(|e| io("cannot read", &path)(e.into()))?;
        if upload.key == key {
            Ok(upload)
        } else {
            Err(Error::NoSuchUpload)
        }
    }

    pub(crate) fn uploads(&self) -> Result<Vec<(String, Upload)>> {
        let folder = self.dir.join(UPLOADS);
        let mut found = Vec::new();
        for entry in fs::read_dir(&folder).map_err(|_| Error::NoSuchBucket)? {
            let entry = entry.map_err(io("cannot list", &folder))?;
            let json = fs::read(entry.path().join(UPLOAD));
            // Ended meanwhile, or a crash came between its folder and its file.
            let Ok(upload) = json.and_then(|json| Ok(serde_json::from_slice(&json)?)) else {
                continue;
            };
            found.push((entry.file_name().to_string_lossy().into_owned(), upload));
        }
        found.sort_by(|(a_id, a), (b_id, b): &(String, Upload)| {
            (&a.key, a.initiated, a_id).cmp(&(&b.key, b.initiated, b_id))
        });
        Ok(found)
    }

    pub(crate) fn put_part(
        &self,
        key: &str,
        id: &str,
        number: u16,
        mut staged: Staged,
        etag: String,
    ) -> Result<Meta> {
        self.upload(key, id)?;
        let meta = Meta {
            key: number.to_string(),
            size: staged.size,
            etag,
            modified: clock::now(),
            checksums: std::mem::take(&mut staged.checksums),
            ..Meta::default()
        };
        seal(&mut staged, &meta, self.sync())?;
        let dir = self.upload_dir(id)?;
        staged
            .file
            .persist(part_path(&dir, number))
            .map_err(|e| match e.error.kind() {
                std::io::ErrorKind::NotFound => Error::NoSuchUpload,
                _ => io("cannot put the part in its place", &dir)(e.error),
            })?;
        sync_dir(&dir, self.sync())?;
        Ok(meta)
    }

    /// The parts that have arrived, by number.
    pub(crate) fn parts(&self, key: &str, id: &str) -> Result<Vec<Part>> {
        self.upload(key, id)?;
        let dir = self.upload_dir(id)?;
        let mut parts = Vec::new();
        for entry in fs::read_dir(&dir).map_err(|_| Error::NoSuchUpload)? {
            let path = entry.map_err(io("cannot list", &dir))?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(number) = name.and_then(|name| name.parse().ok()) else {
                continue;
            };
            let meta = File::open(&path)
                .and_then(|mut file| record::read(&mut file))
                .map_err(io("cannot read the part", &path))?;
            parts.push(Part { number, meta });
        }
        parts.sort_by_key(|part| part.number);
        Ok(parts)
    }

    /// Writes the parts one after the other into a new temporary file.
    pub(crate) fn join_parts(
        &self,
        id: &str,
        parts: &[Part],
        tmp: &Path,
        algorithms: &[Algorithm],
    ) -> Result<Staged> {
        let dir = self.upload_dir(id)?;
        let mut staging = Staging::new(tmp, algorithms).map_err(io("cannot write to", tmp))?;
        for part in parts {
            let path = part_path(&dir, part.number);
            let mut file = File::open(&path).map_err(|_| Error::NoSuchUpload)?;
            let meta = record::read(&mut file).map_err(io("cannot read the part", &path))?;
            if meta != part.meta {
                return Err(Error::InvalidPart); // sent again meanwhile
            }
            file.rewind().map_err(io("cannot read the part", &path))?;
            staging
                .copy(&mut file, part.meta.size)
                .map_err(io("cannot copy the part", &path))?;
        }
        Ok(staging.finish())
    }

    /// Forgets an upload and its parts.
    pub(crate) fn end_upload(&self, key: &str, id: &str) -> Result<()> {
        self.upload(key, id)?;
        let dir = self.upload_dir(id)?;
        // First the file that makes it an upload: what a crash leaves then is no upload any more.
        let path = dir.join(UPLOAD);
        fs::remove_file(&path).map_err(|_| Error::NoSuchUpload)?;
        fs::remove_dir_all(&dir).map_err(io("cannot remove the upload", &dir))
    }

    fn upload_dir(&self, id: &str) -> Result<PathBuf> {
        let ours = id.len() == 25 && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if ours {
            Ok(self.dir.join(UPLOADS).join(id))
        } else {
            Err(Error::NoSuchUpload)
        }
    }
}

fn part_path(dir: &Path, number: u16) -> PathBuf {
    dir.join(number.to_string())
}
