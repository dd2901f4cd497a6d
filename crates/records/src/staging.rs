//! Moves staged uploads to their keys, once their hash was recomputed.

use cidbucket_blockstore::{Block, Cid, Error, Multihash, Report, Result, raw_cid};
use cidbucket_layout::Keys;
use cidbucket_s3::{CopyObject, GetObject, PutObject, S3Client};
use sha2::{Digest, Sha256};

use crate::control::Control;
use crate::keep_set::{Kept, Way};
use crate::lease_id::LeaseId;

/// Code of the multicodec table.
const SHA2_256: u64 = 0x12;

/// What became of a staged upload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Promoted {
    /// The block lies at its key.
    Done,
    /// Nothing was uploaded.
    Missing,
    /// Other bytes than the block's were uploaded.
    Wrong,
}

/// The staging areas of leases, in the bucket of an S3 client.
#[derive(Debug, Clone)]
pub struct Staging {
    client: S3Client,
    control: Control,
    copies: bool,
}

impl Staging {
    /// The staging areas in `client`'s bucket.
    ///
    /// `copies`: whether the server may copy a staged upload to its key by itself. Only where the
    /// seal of the grants binds the SHA-256 (not `checksum-md5`, under which an uploader can make two
    /// bodies with one entity tag), and a copy was seen to honour `x-amz-copy-source-if-match`
    /// ([`Probe::conditional_copy`](cidbucket_s3::Probe)). Otherwise the bytes that were checked are
    /// put by the service.
    pub fn new(client: S3Client, control: Control, copies: bool) -> Self {
        Self {
            client,
            control,
            copies,
        }
    }

    /// Moves the staged upload of a block of a lease to its key among `keys`, if its bytes are those
    /// of the block.
    ///
    /// Whatever the holder of the grant uploads meanwhile, no other bytes get to the key: what is put
    /// are the bytes that were checked, and what is copied has the declared SHA-256, as the seal
    /// demands of every upload, which is compared with that of the bytes that were checked.
    ///
    /// # Errors
    /// As the store's. `Invalid` where the block is not a staged one.
    pub async fn promote(
        &self,
        lease: &LeaseId,
        keys: &Keys,
        kept: &Kept,
        max_block: usize,
    ) -> Result<Promoted> {
        let Way::Staged { sha256 } = kept.way else {
            let report = Report::new("promote", "the block is not a staged one");
            return Err(Error::Invalid(report.with_key(kept.cid.to_string()).into()));
        };
        let staged = self.key(lease, &sha256)?;
        let target = keys.key(&kept.cid);
        let max = max_block.min(usize::try_from(kept.size).unwrap_or(usize::MAX));
        let whole = GetObject::whole(max);
        let object = match self.client.get_object(&staged, &whole).await {
            Ok(Some(object)) => object,
            Ok(None) => return self.is_promoted(&target, kept).await,
            Err(Error::TooLarge(_)) => return Ok(Promoted::Wrong),
            Err(error) => return Err(error),
        };
        if object.size != kept.size {
            return Ok(Promoted::Wrong);
        }
        let block = match Block::new(kept.cid, object.data) {
            Ok(block) if sha256 == *Sha256::digest(block.data()) => block,
            Ok(_) | Err(Error::Corrupt(_)) => return Ok(Promoted::Wrong),
            Err(error) => return Err(error),
        };
        let copied = match object.etag.filter(|_| self.copies) {
            Some(tag) => self.copy(&staged, &target, &tag).await?,
            None => false,
        };
        if !copied {
            let config = self.client.config();
            let mut put = PutObject::new(block.data().clone(), sha256);
            put.content_type = &config.content_type;
            put.checksum = config.send_checksum;
            put.cache_control = config.cache_control.as_deref();
            put.storage_class = config.storage_class.as_deref();
            put.encryption = config.encryption.as_ref();
            self.client.put_object(&target, &put).await?;
        }
        self.client.delete_object(&staged).await?;
        Ok(Promoted::Done)
    }

    /// Whether the server copied it.
    async fn copy(&self, staged: &str, target: &str, tag: &str) -> Result<bool> {
        let mut copy = CopyObject::from(staged);
        copy.if_match = Some(tag);
        match self.client.copy_object(target, &copy).await {
            Ok(copied) => Ok(copied),
            // It was uploaded once more, or the server copies in another way: the bytes are at hand.
            Err(Error::Conflict(_) | Error::Unsupported(_) | Error::Invalid(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Nothing is staged: it may have been promoted before.
    async fn is_promoted(&self, target: &str, kept: &Kept) -> Result<Promoted> {
        let max = usize::try_from(kept.size).unwrap_or(usize::MAX);
        let whole = GetObject::whole(max);
        match self.client.get_object(target, &whole).await {
            Ok(Some(object)) => match Block::new(kept.cid, object.data) {
                Ok(_) => Ok(Promoted::Done),
                Err(Error::Corrupt(_)) => Ok(Promoted::Missing),
                Err(error) => Err(error),
            },
            Ok(None) | Err(Error::TooLarge(_)) => Ok(Promoted::Missing),
            Err(error) => Err(error),
        }
    }

    /// Where a block with this SHA-256 is staged.
    fn key(&self, lease: &LeaseId, sha256: &[u8; 32]) -> Result<String> {
        let staging = self.control.staging(lease).map_err(|error| {
            Error::Invalid(
                Report::new("promote", "cannot stage")
                    .with_source(error)
                    .into(),
            )
        })?;
        Ok(staging.key(&sha256_cid(sha256)))
    }
}

/// The CID under which a staged block is granted: `CIDv1`, codec raw, hash sha2-256.
#[expect(clippy::missing_panics_doc, reason = "it cannot panic")]
pub fn sha256_cid(sha256: &[u8; 32]) -> Cid {
    raw_cid(Multihash::wrap(SHA2_256, sha256).expect("32 bytes fit"))
}
