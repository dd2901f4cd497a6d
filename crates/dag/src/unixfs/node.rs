//! One node of UnixFS, read from one block and checked in itself.

use std::fmt;

use bytes::Bytes;
use cidbucket_blockstore::codec::{DAG_PB, RAW};
use cidbucket_blockstore::{Block, Cid, codec_name};
use ipld_dagpb::PbNode;
use prost::Message;

use super::hamt::{Fanout, MURMUR3_X64_64};
use super::message::{Data, DataType};
use crate::{DagError, Result};

/// What a node is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A file, or a part of one, that is a dag-pb block.
    File,
    /// A file, or a part of one, without metadata: a raw block, or dag-pb of the old type `Raw`.
    Raw,
    /// A directory in one block.
    Directory,
    /// A directory, or a part of one, whose entries are spread over blocks by the hashes of their
    /// names (HAMT).
    Shard,
    /// A symbolic link.
    Symlink,
    /// The type `Metadata`, which nobody writes.
    Metadata,
}

impl Kind {
    /// Whether it has content that can be read: a file or raw bytes.
    pub fn is_file(self) -> bool {
        matches!(self, Self::File | Self::Raw)
    }

    /// Whether it has entries: a directory, sharded or not.
    pub fn is_directory(self) -> bool {
        matches!(self, Self::Directory | Self::Shard)
    }

    /// The kind with its article, for messages: `a file`, `a directory`…
    pub fn described(self) -> &'static str {
        match self {
            Self::File | Self::Raw => "a file",
            Self::Directory | Self::Shard => "a directory",
            Self::Symlink => "a symlink",
            Self::Metadata => "a metadata node",
        }
    }
}

/// When a file was last changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Mtime {
    /// Seconds since 1970-01-01 00:00 UTC, negative before.
    pub seconds: i64,
    /// Nanoseconds after that, below 1,000,000,000.
    pub nanoseconds: u32,
}

/// A link of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Where it leads.
    pub cid: Cid,
    /// Its name as it stands in the block: of a shard's links it begins with the bucket.
    pub name: String,
    /// Size in bytes of all blocks below, as the writer claims; nothing may rely on it.
    pub tsize: Option<u64>,
    /// Of a file's part: how many bytes of content it has.
    pub blocksize: Option<u64>,
}

/// A node of UnixFS: a file, a directory, a symbolic link, or a part of one.
///
/// A node in your hand is consistent in itself: a file has as many block sizes as links and their
/// sum is its size, a shard's bitmap, prefixes and links agree. Whether its children are what it
/// says of them, only reading them tells.
#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    cid: Cid,
    kind: Kind,
    data: Bytes,
    size: Option<u64>,
    links: Vec<Link>,
    fanout: Option<Fanout>,
    mode: Option<u32>,
    mtime: Option<Mtime>,
}

impl Node {
    /// Reads a block as UnixFS: codec raw, or dag-pb with a UnixFS message.
    ///
    /// It is as strict as the [specification] where bytes could be misread, and as lenient as Kubo
    /// beyond: a directory's links may be unsorted, nameless or of the same name, a file's links may
    /// have names, and a time that is out of range counts as none.
    ///
    /// # Errors
    /// [`DagError::Malformed`] for any other codec, for bytes that are no dag-pb or no UnixFS, and for
    /// a message that contradicts itself or its links.
    ///
    /// [specification]: https://specs.ipfs.tech/unixfs/
    pub fn of(block: &Block) -> Result<Self> {
        match block.cid().codec() {
            RAW => Ok(Self::raw(block)),
            DAG_PB => match read(block)? {
                (node, Some(message)) => Self::checked(*block.cid(), node, message),
                (_, None) => Err(malformed(block.cid(), "its data is no UnixFS message")),
            },
            code => Err(malformed(
                block.cid(),
                format_args!(
                    "UnixFS has the codecs raw and dag-pb, and not {}",
                    codec_name(code).map_or_else(|| format!("{code:#x}"), Into::into)
                ),
            )),
        }
    }

    /// The CID of the block it was read from.
    pub fn cid(&self) -> &Cid {
        &self.cid
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Bytes of content: of a file's, its parts included, or of a symlink's target. `None` for
    /// directories and metadata, whose size is not told by one block.
    pub fn size(&self) -> Option<u64> {
        self.size
    }

    /// The content in the block itself: the beginning of a file's, before that of its links (mostly
    /// it has the one or the other); the target of a symlink. Empty for any other kind.
    pub fn data(&self) -> &Bytes {
        &self.data
    }

    /// The parts of a file, the entries of a directory, the buckets of a shard, in order.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Permissions, setuid, setgid and sticky bit, as of POSIX; `None` where they are not told.
    pub fn mode(&self) -> Option<u32> {
        self.mode
    }

    /// When it was last changed; `None` where it is not told.
    pub fn mtime(&self) -> Option<Mtime> {
        self.mtime
    }

    /// The number of buckets of a shard.
    pub(crate) fn fanout(&self) -> Option<Fanout> {
        self.fanout
    }

    /// The parts, without copying them.
    pub(crate) fn into_parts(self) -> (Bytes, Vec<Link>) {
        (self.data, self.links)
    }

    fn raw(block: &Block) -> Self {
        Self {
            cid: *block.cid(),
            kind: Kind::Raw,
            data: block.data().clone(),
            size: Some(block.len() as u64),
            links: Vec::new(),
            fanout: None,
            mode: None,
            mtime: None,
        }
    }

    fn checked(cid: Cid, node: PbNode, message: Data) -> Result<Self> {
        let kind = match DataType::try_from(message.r#type) {
            Ok(DataType::Raw) => Kind::Raw,
            Ok(DataType::Directory) => Kind::Directory,
            Ok(DataType::File) => Kind::File,
            Ok(DataType::Metadata) => Kind::Metadata,
            Ok(DataType::Symlink) => Kind::Symlink,
            Ok(DataType::HamtShard) => Kind::Shard,
            Err(_) => {
                let reason = format_args!("{} is not a known type", message.r#type);
                return Err(malformed(&cid, reason));
            }
        };
        let links: Vec<_> = node
            .links
            .into_iter()
            .map(|link| Link {
                cid: link.cid,
                name: link.name.unwrap_or_default(),
                tsize: link.size,
                blocksize: None,
            })
            .collect();
        let mode = message.mode.map(|mode| mode & 0o7777);
        let mtime = message.mtime.as_ref().and_then(|time| {
            let nanoseconds = time.nanoseconds.unwrap_or(0);
            (nanoseconds < 1_000_000_000).then_some(Mtime {
                seconds: time.seconds,
                nanoseconds,
            })
        });
        let mut this = Self {
            cid,
            kind,
            data: Bytes::new(),
            size: None,
            links,
            fanout: None,
            // Zero is how Kubo says that there is none.
            mode: mode.filter(|mode| *mode != 0),
            mtime,
        };
        match kind {
            Kind::File | Kind::Raw => this.check_file(message)?,
            Kind::Shard => this.check_shard(&message)?,
            Kind::Symlink => {
                if !this.links.is_empty() {
                    return Err(malformed(&cid, "a symlink has no links"));
                }
                this.data = message.data.unwrap_or_default();
                this.size = Some(this.data.len() as u64);
            }
            Kind::Directory | Kind::Metadata => {}
        }
        Ok(this)
    }

    /// Checks sizes, and hands them to the links they are of.
    fn check_file(&mut self, message: Data) -> Result<()> {
        let (links, sizes) = (self.links.len(), message.blocksizes.len());
        if links != sizes {
            let reason = format_args!("a file with {links} links and the sizes of {sizes}");
            return Err(malformed(&self.cid, reason));
        }
        let data = message.data.unwrap_or_default();
        let mut size = data.len() as u64;
        for (link, blocksize) in self.links.iter_mut().zip(message.blocksizes) {
            link.blocksize = Some(blocksize);
            size = size
                .checked_add(blocksize)
                .ok_or_else(|| malformed(&self.cid, "a file of more than 2^64 bytes"))?;
        }
        if let Some(claimed) = message.filesize
            && claimed != size
        {
            let reason = format_args!("a file of {claimed} bytes whose parts have {size}");
            return Err(malformed(&self.cid, reason));
        }
        self.size = Some(size);
        self.data = data;
        Ok(())
    }

    /// Checks that bitmap, prefixes and links agree.
    fn check_shard(&mut self, message: &Data) -> Result<()> {
        let refuse = |reason: fmt::Arguments<'_>| Err(malformed(&self.cid, reason));
        match message.hash_type {
            Some(MURMUR3_X64_64) => {}
            Some(other) => return refuse(format_args!("hash {other:#x}, only murmur3 is known")),
            None => return refuse(format_args!("a shard without a hash")),
        }
        let Some(buckets) = message.fanout else {
            return refuse(format_args!("a shard without a fanout"));
        };
        let Some(fanout) = Fanout::new(buckets) else {
            return refuse(format_args!(
                "fanout {buckets} is no power of two from 8 to 1024"
            ));
        };
        // A big-endian number whose bit 2^n is bucket n; leading zeros may be left out.
        let bitmap = message.data.as_deref().unwrap_or_default();
        if bitmap.len() > fanout.buckets() / 8 {
            let bytes = bitmap.len();
            return refuse(format_args!(
                "{bytes} bytes of bitmap for {buckets} buckets"
            ));
        }
        let used: u32 = bitmap.iter().map(|byte| byte.count_ones()).sum();
        if used as usize != self.links.len() {
            let links = self.links.len();
            return refuse(format_args!("{links} links for {used} buckets in use"));
        }
        let buckets = (0..fanout.buckets()).filter(|bucket| {
            let byte = bitmap.len().checked_sub(1 + bucket / 8);
            byte.is_some_and(|byte| bitmap[byte] >> (bucket % 8) & 1 == 1)
        });
        for (bucket, link) in buckets.zip(&self.links) {
            if !link.name.starts_with(&fanout.prefix(bucket)) {
                let name = &link.name;
                return refuse(format_args!("link {name:?} is in bucket {bucket}"));
            }
        }
        self.fanout = Some(fanout);
        Ok(())
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Node")
            .field("cid", &format_args!("{}", self.cid))
            .field("kind", &self.kind)
            .field("size", &self.size)
            .field("data", &self.data.len())
            .field("links", &self.links.len())
            .finish_non_exhaustive()
    }
}

/// A dag-pb block's node, and its UnixFS message where its data is one.
pub(crate) fn read(block: &Block) -> Result<(PbNode, Option<Data>)> {
    /// prost takes a missing required field for its default, which would be the type `Raw`.
    #[derive(Clone, PartialEq, prost::Message)]
    struct Typed {
        #[prost(int32, optional, tag = "1")]
        r#type: Option<i32>,
    }
    let node = PbNode::from_bytes(block.data().clone()).map_err(|error| DagError::Malformed {
        cid: *block.cid(),
        format: "dag-pb",
        reason: error.to_string(),
    })?;
    let message = node.data.clone().and_then(|data| {
        let typed = Typed::decode(data.clone()).ok()?;
        typed.r#type.and_then(|_| Data::decode(data).ok())
    });
    Ok((node, message))
}

pub(crate) fn malformed(cid: &Cid, reason: impl fmt::Display) -> DagError {
    DagError::Malformed {
        cid: *cid,
        format: "UnixFS",
        reason: reason.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::Hash;
    use ipld_dagpb::PbLink;

    use super::*;
    use crate::unixfs::message::UnixTime;

    fn message(r#type: DataType) -> Data {
        Data {
            r#type: r#type.into(),
            ..Data::default()
        }
    }

    fn block(names: &[&str], data: &[u8]) -> Block {
        let links = names.iter().map(|name| PbLink {
            cid: *Block::raw(Bytes::new()).cid(),
            name: Some((*name).into()),
            size: Some(0),
        });
        let node = PbNode {
            links: links.collect(),
            data: Some(Bytes::copy_from_slice(data)),
        };
        Block::encode(DAG_PB, Hash::Sha2_256, node.into_bytes()).unwrap()
    }

    fn node(names: &[&str], message: &Data) -> Result<Node> {
        Node::of(&block(names, &message.encode_to_vec()))
    }

    fn shard(fanout: u64, bitmap: &'static [u8]) -> Data {
        Data {
            data: Some(bitmap.into()),
            fanout: Some(fanout),
            hash_type: Some(MURMUR3_X64_64),
            ..message(DataType::HamtShard)
        }
    }

    #[test]
    fn a_raw_block_is_its_content() {
        let node = Node::of(&Block::raw("bytes")).unwrap();
        assert_eq!((node.kind(), node.size()), (Kind::Raw, Some(5)));
        assert_eq!(node.data(), "bytes");
        assert!(node.kind().is_file() && node.links().is_empty());
    }

    #[test]
    fn a_file_has_its_sizes() {
        let file = Data {
            data: Some("ab".into()),
            filesize: Some(9),
            blocksizes: vec![3, 4],
            mode: Some(0o100_644),
            mtime: Some(UnixTime {
                seconds: -1,
                nanoseconds: Some(5),
            }),
            ..message(DataType::File)
        };
        let node = node(&["", ""], &file).unwrap();
        assert_eq!((node.kind(), node.size()), (Kind::File, Some(9)));
        assert_eq!(node.data(), "ab");
        assert_eq!(node.links()[1].blocksize, Some(4));
        assert_eq!(node.mode(), Some(0o644));
        let (seconds, nanoseconds) = (-1, 5);
        assert_eq!(
            node.mtime(),
            Some(Mtime {
                seconds,
                nanoseconds
            })
        );
    }

    #[test]
    fn what_kubo_forgives_is_forgiven() {
        let unsized_file = Data {
            blocksizes: vec![3],
            ..message(DataType::File)
        };
        assert_eq!(node(&["named"], &unsized_file).unwrap().size(), Some(3));
        let directory = message(DataType::Directory);
        let names = ["", "a", "a", "b/c"];
        assert_eq!(node(&names, &directory).unwrap().links().len(), 4);
        let late = Data {
            mode: Some(0),
            mtime: Some(UnixTime {
                seconds: 1,
                nanoseconds: Some(1_000_000_000),
            }),
            ..message(DataType::Directory)
        };
        let late = node(&[], &late).unwrap();
        assert_eq!((late.mtime(), late.mode()), (None, None));
        // Go leaves leading zeros out of the bitmap; others write them.
        for bitmap in [&[0b1000_0001][..], &[0, 0, 0, 0b1000_0001]] {
            let shard = shard(256, Vec::from(bitmap).leak());
            assert_eq!(node(&["00", "07name"], &shard).unwrap().links().len(), 2);
        }
    }

    #[test]
    fn what_contradicts_itself_is_malformed() {
        let file = |filesize, blocksizes: &[u64]| Data {
            filesize,
            blocksizes: blocksizes.into(),
            ..message(DataType::File)
        };
        let unhashed = Data {
            hash_type: None,
            ..shard(8, &[])
        };
        let sha2 = Data {
            hash_type: Some(0x12),
            ..shard(8, &[])
        };
        let unknown = Data {
            r#type: 6,
            ..Data::default()
        };
        let endless = Data {
            fanout: None,
            ..shard(8, &[])
        };
        let cases: &[(&[&str], Data, &str)] = &[
            (&[""], file(None, &[]), "1 links and the sizes of 0"),
            (&[], file(None, &[1]), "0 links and the sizes of 1"),
            (&[""], file(Some(4), &[3]), "4 bytes whose parts have 3"),
            (&["", ""], file(None, &[u64::MAX, 1]), "more than 2^64"),
            (&["a"], message(DataType::Symlink), "has no links"),
            (&[], unknown, "6 is not a known type"),
            (&[], unhashed, "without a hash"),
            (&[], sha2, "0x12"),
            (&[], endless, "without a fanout"),
            (&[], shard(0, &[]), "fanout 0"),
            (&[], shard(4, &[]), "fanout 4"),
            (&[], shard(24, &[]), "fanout 24"),
            (&[], shard(2048, &[]), "fanout 2048"),
            (&[], shard(1 << 63, &[]), "fanout 9223372036854775808"),
            (&[], shard(8, &[0, 0]), "2 bytes of bitmap"),
            (&["0a"], shard(8, &[]), "1 links for 0 buckets"),
            (&[], shard(8, &[1]), "0 links for 1 buckets"),
            (&["1a"], shard(8, &[1]), "is in bucket 0"),
            (&[""], shard(8, &[1]), "is in bucket 0"),
            (&["0"], shard(256, &[1]), "is in bucket 0"),
            (&["0a"], shard(256, &[0b100, 0]), "is in bucket 10"),
        ];
        for (names, message, reason) in cases {
            match node(names, message) {
                Err(DagError::Malformed {
                    format: "UnixFS",
                    reason: found,
                    ..
                }) => assert!(found.contains(reason), "{found}"),
                other => panic!("{reason}: {other:?}"),
            }
        }
    }

    #[test]
    fn bytes_that_are_no_node_are_malformed() {
        // No data, no type, no message, no dag-pb, no codec of UnixFS.
        let empty = Block::encode(DAG_PB, Hash::Sha2_256, Bytes::new()).unwrap();
        let noise = Block::encode(DAG_PB, Hash::Sha2_256, "noise").unwrap();
        let other = Block::encode(0x71, Hash::Sha2_256, [0xa0].as_slice()).unwrap();
        for (block, format) in [
            (empty, "UnixFS"),
            (block(&[], b""), "UnixFS"),
            (block(&[], &[0x18, 5]), "UnixFS"),
            (block(&[], b"\xff\xff"), "UnixFS"),
            (noise, "dag-pb"),
            (other, "UnixFS"),
        ] {
            match Node::of(&block) {
                Err(DagError::Malformed { format: found, .. }) => assert_eq!(found, format),
                other => panic!("{other:?}"),
            }
        }
    }
}
