//! A body on its way in: received into a temporary file and digested, not yet visible.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

use s3s::{
    checksum::ChecksumHasher,
    crypto::{Checksum as _, Crc32, Crc32c, Crc64Nvme, Md5, Sha1, Sha256},
};
use tempfile::NamedTempFile;

/// A checksum algorithm of the `x-amz-checksum-*` headers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Algorithm {
    Crc32,
    Crc32c,
    Crc64Nvme,
    Sha1,
    Sha256,
}

impl Algorithm {
    pub(crate) const ALL: [Self; 5] = [
        Self::Crc32,
        Self::Crc32c,
        Self::Crc64Nvme,
        Self::Sha1,
        Self::Sha256,
    ];

    /// The end of its header's name: `x-amz-checksum-…`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "crc32",
            Self::Crc32c => "crc32c",
            Self::Crc64Nvme => "crc64nvme",
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// From the end of a header's name or the value of `x-amz-checksum-algorithm`.
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }
}

/// MD5 and checksums of what passes.
pub(crate) struct Digests {
    md5: Md5,
    hasher: ChecksumHasher,
}

impl Digests {
    pub(crate) fn new(algorithms: &[Algorithm]) -> Self {
        let on = |algorithm| algorithms.contains(&algorithm);
        Self {
            md5: Md5::new(),
            hasher: ChecksumHasher {
                crc32: on(Algorithm::Crc32).then(Crc32::new),
                crc32c: on(Algorithm::Crc32c).then(Crc32c::new),
                crc64nvme: on(Algorithm::Crc64Nvme).then(Crc64Nvme::new),
                sha1: on(Algorithm::Sha1).then(Sha1::new),
                sha256: on(Algorithm::Sha256).then(Sha256::new),
            },
        }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.md5.update(bytes);
        self.hasher.update(bytes);
    }

    /// The MD5, and the checksums by [`Algorithm::name`] in base64.
    pub(crate) fn finish(self) -> ([u8; 16], BTreeMap<String, String>) {
        let sums = self.hasher.finalize();
        let checksums = [
            (Algorithm::Crc32, sums.checksum_crc32),
            (Algorithm::Crc32c, sums.checksum_crc32c),
            (Algorithm::Crc64Nvme, sums.checksum_crc64nvme),
            (Algorithm::Sha1, sums.checksum_sha1),
            (Algorithm::Sha256, sums.checksum_sha256),
        ]
        .into_iter()
        .filter_map(|(algorithm, sum)| Some((algorithm.name().to_owned(), sum?)))
        .collect();
        (self.md5.finalize(), checksums)
    }
}

/// A body being received. Dropping it removes the file.
pub(crate) struct Staging {
    file: NamedTempFile,
    digests: Digests,
    size: u64,
}

/// A body received whole. Dropping it removes the file.
#[derive(Debug)]
pub(crate) struct Staged {
    pub(crate) file: NamedTempFile,
    pub(crate) size: u64,
    pub(crate) md5: [u8; 16],
    /// By [`Algorithm::name`], in base64.
    pub(crate) checksums: BTreeMap<String, String>,
}

impl Staging {
    pub(crate) fn new(dir: &Path, algorithms: &[Algorithm]) -> io::Result<Self> {
        Ok(Self {
            file: NamedTempFile::new_in(dir)?,
            digests: Digests::new(algorithms),
            size: 0,
        })
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.digests.update(bytes);
        self.size += bytes.len() as u64;
        self.file.as_file_mut().write_all(bytes)
    }

    /// Appends the first `length` bytes of `file`.
    pub(crate) fn copy(&mut self, file: &mut File, mut length: u64) -> io::Result<()> {
        let mut buffer = vec![0; 256 * 1024];
        while length > 0 {
            let wanted = usize::try_from(length).map_or(buffer.len(), |n| n.min(buffer.len()));
            file.read_exact(&mut buffer[..wanted])?;
            self.write(&buffer[..wanted])?;
            length -= wanted as u64;
        }
        Ok(())
    }

    pub(crate) fn finish(self) -> Staged {
        let (md5, checksums) = self.digests.finish();
        Staged {
            file: self.file,
            size: self.size,
            md5,
            checksums,
        }
    }
}
