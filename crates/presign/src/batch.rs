//! Compact batches: grants for many blocks, in 32 bytes each.
//!
//! What the URLs of a batch have in common is sent once, and of each block only its signature. The
//! client knows the CIDs, since it asked for them, and assembles each URL itself.

use std::fmt;

use cid::Cid;
use cidbucket_layout::Keys;
use cidbucket_sigv4::{Request, Template, Timestamp, encode_path};
use data_encoding::HEXLOWER;

use crate::granter::check_stored;
use crate::write::{fixed_headers, put_values, values, varying_headers};
use crate::{Error, Grant, Granter, Method, Read, Result, Seal, Upload};

/// The most blocks in one batch: 2 MiB of signatures.
pub const MAX_BATCH: usize = 65_536;

/// Grants for many blocks: what they share, and a signature for each.
///
/// It goes over the wire by [`Self::to_json`] or [`Self::to_dag_cbor`]; the client reads it back
/// and assembles grants with [`Self::read`] or [`Self::write`]. Like a [`Grant`], its `Debug`
/// leaves out what is as good as a password.
#[derive(Clone, PartialEq, Eq)]
pub struct Batch {
    pub(crate) method: Method,
    /// The URL of the bucket, up to where keys begin.
    pub(crate) base: String,
    pub(crate) keys: Keys,
    /// The query without the signature; empty for plain URLs of a public bucket.
    pub(crate) query: String,
    /// The headers that all requests share.
    pub(crate) headers: Vec<(String, String)>,
    /// What the other headers of a write are made of.
    pub(crate) seal: Option<Seal>,
    pub(crate) expires: Option<Timestamp>,
    pub(crate) signatures: Vec<[u8; 32]>,
}

impl Granter {
    /// Grants reads of many blocks: the same as [`Granter::read`] of each, in less space and time.
    ///
    /// # Errors
    /// As [`Granter::read`], with the first block that cannot be granted; [`Error::TooManyBlocks`]
    /// above [`MAX_BATCH`].
    pub fn read_batch(
        &self,
        cids: &[Cid],
        read: &Read,
        expires: u32,
        now: Timestamp,
    ) -> Result<Batch> {
        check_count(cids.len())?;
        cids.iter().try_for_each(check_stored)?;
        let (query, headers) = (read.query()?, read.headers()?);
        if self.is_public() {
            return if query.is_empty() {
                Ok(self.batch(read.method(), headers, None))
            } else {
                Err(Error::Public)
            };
        }
        let life = self.life(expires, now)?;
        let mut template = self.template(read.method(), &query, &headers, &[], life, now)?;
        let mut batch = self.batch(read.method(), headers, None);
        batch.share(&template, now.plus(life.into()));
        batch.signatures = template.sign_all(cids, |cid, own| -> Result<()> {
            self.keys().write_tail(cid, &mut own.key);
            Ok(())
        })?;
        Ok(batch)
    }

    /// Grants writes of many blocks: the same as [`Granter::write`] of each.
    ///
    /// # Errors
    /// As [`Granter::write`], with the first block that cannot be granted;
    /// [`Error::TooManyBlocks`] above [`MAX_BATCH`]; [`Error::NoBatch`] under [`Seal::Header`].
    pub fn write_batch(&self, uploads: &[Upload], expires: u32, now: Timestamp) -> Result<Batch> {
        check_count(uploads.len())?;
        self.signer()?;
        let seal = self.policy().seal.ok_or(Error::NoSeal)?;
        if seal == Seal::Header {
            return Err(Error::NoBatch);
        }
        let life = self.life(expires, now)?;
        let headers = fixed_headers(self.policy());
        let varying = varying_headers(seal);
        let mut template = self.template(Method::Put, &[], &headers, varying, life, now)?;
        let mut batch = self.batch(Method::Put, headers, Some(seal));
        batch.share(&template, now.plus(life.into()));
        batch.signatures = template.sign_all(uploads, |upload, own| {
            self.writable(upload)?;
            self.keys().write_tail(&upload.cid, &mut own.key);
            put_values(seal, upload, &mut own.values)
        })?;
        Ok(batch)
    }

    fn template(
        &self,
        method: Method,
        query: &[(&str, &str)],
        headers: &[(String, String)],
        varying: &[&str],
        life: u32,
        now: Timestamp,
    ) -> Result<Template> {
        Ok(self.signer()?.template(
            &Request {
                method: method.as_str(),
                path: &self.bucket().path(self.keys().list_prefix()),
                query,
                headers: &self.with_host(headers),
            },
            varying,
            &self.presign(life, now),
        )?)
    }

    fn batch(&self, method: Method, headers: Vec<(String, String)>, seal: Option<Seal>) -> Batch {
        Batch {
            method,
            base: self.bucket().url(""),
            keys: self.keys().clone(),
            query: String::new(),
            headers,
            seal,
            expires: None,
            signatures: Vec::new(),
        }
    }
}

impl Batch {
    /// What the grants allow: `GET`, `HEAD` or `PUT`.
    pub fn method(&self) -> Method {
        self.method
    }

    /// The seal of the writes.
    pub fn seal(&self) -> Option<Seal> {
        self.seal
    }

    /// When S3 stops accepting the grants; `None` for the plain URLs of a public bucket.
    pub fn expires(&self) -> Option<Timestamp> {
        self.expires
    }

    /// The number of blocks granted; `None` for a public bucket, where any block may be read.
    pub fn blocks(&self) -> Option<usize> {
        (!self.query.is_empty()).then_some(self.signatures.len())
    }

    /// Assembles the grant to read the block that stood at `index` of what was asked for.
    ///
    /// # Errors
    /// [`AssembleError`]. Another CID than was asked for is no error here; S3 will refuse it.
    pub fn read(&self, index: usize, cid: &Cid) -> Result<Grant, AssembleError> {
        if self.seal.is_some() {
            return Err(AssembleError::Method(self.method));
        }
        check_stored(cid)?;
        self.assemble(index, cid, self.headers.clone())
    }

    /// Assembles the grant to write the block that stood at `index` of what was asked for.
    ///
    /// # Errors
    /// [`AssembleError`]. Another block than was asked for is no error here; S3 will refuse it.
    pub fn write(&self, index: usize, upload: &Upload) -> Result<Grant, AssembleError> {
        let seal = self.seal.ok_or(AssembleError::Method(self.method))?;
        let mut headers = self.headers.clone();
        for (name, value) in varying_headers(seal).iter().zip(values(seal, upload)?) {
            headers.push(((*name).to_owned(), value));
        }
        self.assemble(index, &upload.cid, headers)
    }

    fn assemble(
        &self,
        index: usize,
        cid: &Cid,
        headers: Vec<(String, String)>,
    ) -> Result<Grant, AssembleError> {
        let mut url = self.base.clone();
        url.push_str(&encode_path(&self.keys.key(cid)));
        if let Some(blocks) = self.blocks() {
            let signature = self
                .signatures
                .get(index)
                .ok_or(AssembleError::Index { index, blocks })?;
            url.extend(["?", &self.query, SIGNATURE]);
            HEXLOWER.encode_append(signature, &mut url);
        }
        Ok(Grant {
            method: self.method,
            url,
            headers,
            expires: self.expires,
        })
    }

    fn share(&mut self, template: &Template, expires: Timestamp) {
        let query = template.query();
        let query = query.strip_prefix('?').unwrap_or(query);
        let query = query.strip_suffix(SIGNATURE).unwrap_or(query);
        query.clone_into(&mut self.query);
        self.expires = Some(expires);
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("method", &self.method)
            .field("base", &self.base)
            .field("keys", &self.keys)
            .field("seal", &self.seal)
            .field("expires", &self.expires.map(Timestamp::iso8601))
            .field("blocks", &self.blocks())
            .finish_non_exhaustive()
    }
}

/// Why a batch gives no grant.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AssembleError {
    /// The batch is of the other kind.
    #[error("this batch grants {0}")]
    Method(Method),
    /// The batch has fewer blocks.
    #[error("block {index} of a batch of {blocks}")]
    Index {
        /// The index asked for, from zero.
        index: usize,
        /// The number of blocks in the batch.
        blocks: usize,
    },
    /// The block cannot be granted at all.
    #[error(transparent)]
    Block(#[from] Error),
}

/// The last parameter of a signed URL.
pub(crate) const SIGNATURE: &str = "&X-Amz-Signature=";

fn check_count(blocks: usize) -> Result<()> {
    if blocks > MAX_BATCH {
        return Err(Error::TooManyBlocks {
            blocks,
            limit: MAX_BATCH,
        });
    }
    Ok(())
}
