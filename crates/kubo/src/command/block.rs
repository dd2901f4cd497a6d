//! `block`: single blocks.

use bytes::Bytes;
use cidbucket_blockstore::{Block, Cid, DEFAULT_MAX_BLOCK, Hash, Multihash, codec_code};
use serde_json::json;

use super::Context;
use crate::cid_text::CidText;
use crate::path;
use crate::wire::failure::{Failure, could_not_find};
use crate::wire::options::Options;
use crate::wire::upload::{File, too_large};

/// Largest block that is read at all, in bytes. The store may take less.
const BIG: usize = 8 << 20;

pub(super) async fn get(mut context: Context) -> Result<(), Failure> {
    let store = context.node.store();
    let cid = path::root(store, context.argument()).await?;
    let block = path::block(store, &cid).await?;
    let out = &mut context.out;
    out.begin_bytes("application/vnd.ipld.raw", None).await?;
    out.bytes(block.into_data()).await
}

pub(super) async fn stat(mut context: Context) -> Result<(), Failure> {
    let text = CidText::of(&context.call.options)?;
    let store = context.node.store();
    let cid = path::root(store, context.argument()).await?;
    let size = store.size(&cid).await?;
    let size = size.ok_or_else(|| Failure::not_found(&cid))?;
    let answer = json!({ "Key": text.write(&cid), "Size": size });
    context.out.single(&answer).await
}

pub(super) async fn put(mut context: Context) -> Result<(), Failure> {
    let form = Form::of(&context.call.options)?;
    let text = CidText::of(&context.call.options)?;
    let pin = context.call.options.flag("pin");
    let big = context.call.options.flag("allow-big-block");
    let mut upload = context.upload()?;
    while let Some(file) = upload.next_file().await? {
        let data = read(file, big).await?;
        let size = data.len();
        let block = form.block(data)?;
        context.node.store().put(&block).await?;
        if pin {
            context.pin(*block.cid()).await?;
        }
        let answer = json!({ "Key": text.write(block.cid()), "Size": size });
        context.out.value(&answer).await?;
    }
    Ok(())
}

/// Reads a block's bytes. The limit is looked at before anything is stored.
pub(super) async fn read(file: File, big: bool) -> Result<Bytes, Failure> {
    let limit = if big { BIG } else { DEFAULT_MAX_BLOCK };
    let read = file.read(limit).await;
    read.map_err(|failure| {
        if !big && failure == too_large(limit) {
            Failure::new(TOO_BIG)
        } else {
            failure
        }
    })
}

/// Kubo's own words.
pub(super) const TOO_BIG: &str = "produced block is over 2MiB: big blocks can't be exchanged with other peers. consider using \
     UnixFS for automatic chunking of bigger files, or pass --allow-big-block to override";

/// What CID a block gets.
struct Form {
    v0: bool,
    codec: u64,
    hash: Hash,
    /// Length of the digest in bytes, where it is to be shorter than the hash's.
    length: Option<usize>,
}

impl Form {
    fn of(options: &Options) -> Result<Self, Failure> {
        let name = options.text("mhtype").unwrap_or("sha2-256");
        let hash = hash(name)
            .ok_or_else(|| Failure::new(format!("unrecognized multihash function: {name}")))?;
        let length = match options.integer::<i32>("mhlen") {
            None | Some(-1) => None,
            Some(length) => Some(
                usize::try_from(length)
                    .map_err(|_| Failure::new(format!("mhlen must not be {length}")))?,
            ),
        };
        let mut form = Self {
            v0: false,
            codec: 0,
            hash,
            length,
        };
        let codec = options.text("cid-codec");
        let name = match options.text("format") {
            Some(_) if codec.is_some_and(|codec| codec != "raw") => {
                return Err(Failure::new(
                    "unable to use \"format\" (deprecated) and a custom \"cid-codec\" at the same \
                     time",
                ));
            }
            Some("v0") => {
                form.v0 = true;
                "dag-pb"
            }
            Some("protobuf") => "dag-pb",
            Some("cbor") => "dag-cbor",
            Some(format) => format,
            None => codec.unwrap_or("raw"),
        };
        form.codec = codec_of(name)?;
        if form.v0 && (hash != Hash::Sha2_256 || !matches!(length, None | Some(32))) {
            return Err(Failure::new("only sha2-256-32 is allowed with CIDv0"));
        }
        Ok(form)
    }

    fn block(&self, data: Bytes) -> Result<Block, Failure> {
        let mut multihash = self.hash.digest(&data)?;
        if let Some(length) = self.length {
            let digest = multihash.digest().get(..length).ok_or_else(|| {
                Failure::new(format!(
                    "a digest of {} has no {length} bytes",
                    self.hash.name()
                ))
            })?;
            multihash = Multihash::wrap(multihash.code(), digest)
                .map_err(|error| Failure::new(error.to_string()))?;
        }
        let cid = if self.v0 {
            Cid::new_v0(multihash).map_err(|error| Failure::new(error.to_string()))?
        } else {
            Cid::new_v1(self.codec, multihash)
        };
        Ok(Block::new(cid, data)?)
    }
}

/// A hash function by its name.
pub(super) fn hash(name: &str) -> Option<Hash> {
    // Kubo's libraries know this one by another name than the multicodec table.
    Hash::from_name(if name == "sha3" { "sha3-512" } else { name })
}

/// A codec by its name or number.
pub(super) fn codec_of(name: &str) -> Result<u64, Failure> {
    codec_code(name)
        .or_else(|| crate::wire::duration::parse_integer(name)?.try_into().ok())
        .ok_or_else(|| Failure::new(format!("unknown multicodec: {name:?}")))
}

pub(super) async fn rm(mut context: Context) -> Result<(), Failure> {
    let text = CidText::of(&context.call.options)?;
    let force = context.call.options.flag("force");
    let quiet = context.call.options.flag("quiet");
    let node = context.node.clone();
    let store = node.store();
    let mut cids = Vec::new();
    for argument in &context.call.arguments {
        cids.push(path::root(store, argument).await?);
    }
    let holders = node.pinner().holders(&cids).await?;
    for (cid, holder) in cids.iter().zip(holders) {
        let refusal = match holder {
            Some(holder) => Some(holder),
            None if !force && !store.has(cid).await? => Some(could_not_find(cid)),
            None => match store.delete(cid).await {
                Ok(()) => None,
                Err(error) => Some(error.to_string()),
            },
        };
        let answer = match refusal {
            Some(error) => json!({ "Hash": text.write(cid), "Error": error }),
            None if quiet => continue,
            None => json!({ "Hash": text.write(cid) }),
        };
        context.out.value(&answer).await?;
    }
    Ok(())
}
