//! Tar archives, written piece by piece. Without I/O.

use std::io;

use bytes::Bytes;
use tar::{Builder, EntryType, Header};

/// The length of a record, in bytes.
const RECORD: usize = 512;

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// A file of so many bytes, which are to follow.
    File(u64),
    Directory,
    Symlink(&'a str),
}

/// Writes the heads of entries.
pub(super) struct TarWriter {
    builder: Builder<Vec<u8>>,
}

impl TarWriter {
    pub(super) fn new() -> Self {
        Self {
            builder: Builder::new(Vec::new()),
        }
    }

    /// What stands before an entry's bytes.
    ///
    /// # Errors
    /// For a path that cannot be in an archive, or leads out of it.
    pub(super) fn head(
        &mut self,
        path: &str,
        kind: Kind<'_>,
        mode: Option<u32>,
        mtime: u64,
    ) -> io::Result<Bytes> {
        let mut header = Header::new_gnu();
        header.set_mtime(mtime);
        header.set_uid(0);
        header.set_gid(0);
        match kind {
            Kind::File(size) => {
                header.set_entry_type(EntryType::Regular);
                header.set_mode(mode.unwrap_or(0o644));
                header.set_size(size);
                // The builder writes as many bytes as it is given, whatever the head says.
                self.builder.append_data(&mut header, path, io::empty())?;
            }
            Kind::Directory => {
                header.set_entry_type(EntryType::Directory);
                header.set_mode(mode.unwrap_or(0o755));
                header.set_size(0);
                self.builder.append_data(&mut header, path, io::empty())?;
            }
            Kind::Symlink(target) => {
                header.set_entry_type(EntryType::Symlink);
                header.set_mode(0o777);
                header.set_size(0);
                self.builder.append_link(&mut header, path, target)?;
            }
        }
        Ok(std::mem::take(self.builder.get_mut()).into())
    }

    /// What stands behind a file's bytes.
    pub(super) fn padding(size: u64) -> Bytes {
        static ZEROS: [u8; RECORD] = [0; RECORD];
        let over = usize::try_from(size % RECORD as u64).unwrap_or(0);
        let fill = if over == 0 { 0 } else { RECORD - over };
        Bytes::from_static(&ZEROS[..fill])
    }

    /// The end of the archive.
    pub(super) fn end() -> Bytes {
        Bytes::from_static(&[0; 2 * RECORD])
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn archives_are_read_back() {
        let mut writer = TarWriter::new();
        let long = format!("dir/{}", "x".repeat(300));
        let mut archive = Vec::new();
        archive.extend(writer.head("dir", Kind::Directory, None, 0).unwrap());
        for (path, content) in [("dir/a", "abc"), (&long, ""), ("dir/ä", &"z".repeat(512))] {
            let size = content.len() as u64;
            archive.extend(writer.head(path, Kind::File(size), Some(0o600), 7).unwrap());
            archive.extend(content.as_bytes());
            archive.extend(TarWriter::padding(size));
        }
        archive.extend(
            writer
                .head("dir/l", Kind::Symlink("../a"), None, 0)
                .unwrap(),
        );
        archive.extend(TarWriter::end());
        let mut read = Vec::new();
        for entry in tar::Archive::new(&archive[..]).entries().unwrap() {
            let mut entry = entry.unwrap();
            let path = entry.path().unwrap().to_string_lossy().into_owned();
            let mut content = String::new();
            entry.read_to_string(&mut content).unwrap();
            read.push((path, content.len()));
        }
        let sizes = [
            ("dir", 0),
            ("dir/a", 3),
            (&long, 0),
            ("dir/ä", 512),
            ("dir/l", 0),
        ];
        assert_eq!(read, sizes.map(|(path, size)| (path.to_owned(), size)));
    }

    #[test]
    fn no_path_leads_out() {
        let mut writer = TarWriter::new();
        for path in ["..", "a/../b"] {
            assert!(writer.head(path, Kind::File(0), None, 0).is_err(), "{path}");
        }
    }
}
