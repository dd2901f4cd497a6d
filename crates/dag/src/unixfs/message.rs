//! The protobuf message of UnixFS, which is the data of its dag-pb nodes.
//!
//! The fields and their order are those of the [UnixFS specification]; the bytes are those that Kubo
//! writes, on which CIDs depend.
//!
//! [UnixFS specification]: https://specs.ipfs.tech/unixfs/#dag-pb-node

use bytes::Bytes;

/// The message.
#[derive(Clone, PartialEq, Eq, prost::Message)]
#[expect(clippy::struct_field_names, reason = "the specification's names")]
pub(crate) struct Data {
    #[prost(enumeration = "DataType", required, tag = "1")]
    pub(crate) r#type: i32,
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub(crate) data: Option<Bytes>,
    #[prost(uint64, optional, tag = "3")]
    pub(crate) filesize: Option<u64>,
    #[prost(uint64, repeated, packed = "false", tag = "4")]
    pub(crate) blocksizes: Vec<u64>,
    #[prost(uint64, optional, tag = "5")]
    pub(crate) hash_type: Option<u64>,
    #[prost(uint64, optional, tag = "6")]
    pub(crate) fanout: Option<u64>,
    #[prost(uint32, optional, tag = "7")]
    pub(crate) mode: Option<u32>,
    #[prost(message, optional, tag = "8")]
    pub(crate) mtime: Option<UnixTime>,
}

/// What a node is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, prost::Enumeration)]
#[repr(i32)]
pub(crate) enum DataType {
    Raw = 0,
    Directory = 1,
    File = 2,
    Metadata = 3,
    Symlink = 4,
    HamtShard = 5,
}

/// A time since 1970-01-01 00:00 UTC.
#[derive(Clone, Copy, PartialEq, Eq, prost::Message)]
pub(crate) struct UnixTime {
    #[prost(int64, required, tag = "1")]
    pub(crate) seconds: i64,
    #[prost(fixed32, optional, tag = "2")]
    pub(crate) nanoseconds: Option<u32>,
}
