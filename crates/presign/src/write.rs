//! Write grants.

use std::fmt::Write as _;

use cid::Cid;
use cidbucket_sigv4::{Payload, Request, Timestamp};
use data_encoding::{BASE64, HEXLOWER};

use crate::granter::sha256;
use crate::{Error, Grant, Granter, Method, Policy, Result, Seal};

/// For how long after its date S3 accepts a request signed in its headers, in seconds.
const HEADER_LIFE: u32 = 900;

/// A block that somebody wants to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upload {
    /// Its CID, with a full sha2-256 digest.
    pub cid: Cid,
    /// Its exact size in bytes.
    pub size: u64,
    /// Its MD5, which [`Seal::ChecksumMd5`] needs and the others do not look at.
    pub md5: Option<[u8; 16]>,
}

impl Upload {
    /// A block of `size` bytes, without its MD5.
    pub const fn new(cid: Cid, size: u64) -> Self {
        Self {
            cid,
            size,
            md5: None,
        }
    }
}

impl Granter {
    /// Grants a write of the block for `expires` seconds from `now`: of these bytes, of this size,
    /// under the block's key, and of nothing else.
    ///
    /// Under [`Seal::Header`] the grant lives for 15 minutes at most, whatever was asked for.
    ///
    /// # Errors
    /// [`Error::Inline`] and [`Error::NotSha256`] for blocks that S3 cannot check,
    /// [`Error::TooLarge`], [`Error::NoSeal`], [`Error::NoMd5`], [`Error::Public`],
    /// [`Error::Expires`], [`Error::CredentialsExpired`].
    pub fn write(&self, upload: &Upload, expires: u32, now: Timestamp) -> Result<Grant> {
        let seal = self.writable(upload)?;
        let life = self.life(expires, now)?;
        let mut headers = fixed_headers(self.policy());
        for (name, value) in varying_headers(seal).iter().zip(values(seal, upload)?) {
            headers.push(((*name).to_owned(), value));
        }
        let mut presign = self.presign(life, now);
        match seal {
            Seal::Header => return self.write_by_header(upload, headers, life, now),
            Seal::PayloadHash => presign.payload = Payload::Sha256(*sha256(&upload.cid)?),
            Seal::Checksum | Seal::ChecksumMd5 => {}
        }
        self.signed_url(Method::Put, &upload.cid, &[], headers, &presign)
    }

    /// The seal under which the block may be written.
    pub(crate) fn writable(&self, upload: &Upload) -> Result<Seal> {
        self.signer()?;
        let seal = self.policy().seal.ok_or(Error::NoSeal)?;
        sha256(&upload.cid)?;
        let limit = self.policy().max_block;
        if upload.size > limit {
            return Err(Error::TooLarge {
                cid: upload.cid,
                size: upload.size,
                limit,
            });
        }
        Ok(seal)
    }

    /// The form without a signed URL. Its signature is dated back, so that S3's 15 minutes end
    /// when the grant does.
    fn write_by_header(
        &self,
        upload: &Upload,
        mut headers: Vec<(String, String)>,
        life: u32,
        now: Timestamp,
    ) -> Result<Grant> {
        let life = u64::from(life.min(HEADER_LIFE));
        let expires = now.plus(life);
        let date = expires.unix().saturating_sub(HEADER_LIFE.into());
        let key = self.keys().key(&upload.cid);
        let signed = self.signer()?.sign(
            &Request {
                method: Method::Put.as_str(),
                path: &self.bucket().path(&key),
                query: &[],
                headers: &self.with_host(&headers),
            },
            Payload::Sha256(*sha256(&upload.cid)?),
            Timestamp::from_unix(date),
        )?;
        for (name, value) in signed.iter() {
            headers.push((name.to_owned(), value.to_owned()));
        }
        Ok(Grant {
            method: Method::Put,
            url: self.bucket().url(&key),
            headers,
            expires: Some(expires),
        })
    }
}

/// The names of [`fixed_headers`] under the policy that sets them all.
pub(crate) const FIXED_HEADERS: [&str; 3] = ["content-type", "cache-control", "if-none-match"];

/// The signed headers that all writes of a policy share.
pub(crate) fn fixed_headers(policy: &Policy) -> Vec<(String, String)> {
    let mut headers = Vec::new();
    if policy.octet_stream {
        headers.push((
            "content-type".to_owned(),
            "application/octet-stream".to_owned(),
        ));
    }
    if let Some(value) = &policy.cache_control {
        headers.push(("cache-control".to_owned(), value.clone()));
    }
    if policy.if_none_match {
        headers.push(("if-none-match".to_owned(), "*".to_owned()));
    }
    headers
}

/// The signed headers whose values follow from the block.
pub(crate) const fn varying_headers(seal: Seal) -> &'static [&'static str] {
    match seal {
        Seal::Checksum => &["content-length", "x-amz-checksum-sha256"],
        Seal::PayloadHash => &["content-length", "x-amz-content-sha256"],
        Seal::Header => &["content-length"],
        Seal::ChecksumMd5 => &["content-length", "x-amz-checksum-sha256", "content-md5"],
    }
}

/// The values of [`varying_headers`].
pub(crate) fn values(seal: Seal, upload: &Upload) -> Result<Vec<String>> {
    let mut values = vec![String::new(); varying_headers(seal).len()];
    put_values(seal, upload, &mut values)?;
    Ok(values)
}

/// Appends them to texts that a batch uses again and again.
pub(crate) fn put_values(seal: Seal, upload: &Upload, values: &mut [String]) -> Result<()> {
    let digest = sha256(&upload.cid)?;
    for (name, value) in varying_headers(seal).iter().zip(values) {
        match *name {
            "content-length" => write!(value, "{}", upload.size).expect("a String takes all"),
            "x-amz-checksum-sha256" => BASE64.encode_append(digest, value),
            "x-amz-content-sha256" => HEXLOWER.encode_append(digest, value),
            _ => {
                let md5 = upload.md5.ok_or(Error::NoMd5(upload.cid))?;
                BASE64.encode_append(&md5, value);
            }
        }
    }
    Ok(())
}
