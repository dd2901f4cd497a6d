//! Who grants: a bucket, its keys, credentials and a policy.

use std::fmt;

use cid::Cid;
use cidbucket_layout::Keys;
use cidbucket_sigv4::{Credentials, MAX_EXPIRES, Presign, Request, Signer, Timestamp};

use crate::{Bucket, Error, Grant, Method, Result, Seal};

/// Codes of the multicodec table.
const IDENTITY: u64 = 0x00;
const SHA2_256: u64 = 0x12;

/// What may be granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// The largest block that may be written, in bytes. 2 MiB unless set.
    pub max_block: u64,
    /// The longest life of a grant, in seconds: one hour unless set, and never more than the
    /// 7 days of S3.
    pub max_expires: u32,
    /// The seal that was found to hold at this bucket. `None` unless set: then no writes are
    /// granted.
    pub seal: Option<Seal>,
    /// Whether a write grant is good only while the block is absent (`If-None-Match: *`). Some
    /// servers ignore it, and some refuse it. Off unless set.
    pub if_none_match: bool,
    /// Whether a write grant fixes the content type to `application/octet-stream`, so that no
    /// uploader can plant a page in the bucket's origin. On unless unset.
    pub octet_stream: bool,
    /// The `Cache-Control` that a write grant fixes, say `public, max-age=31536000, immutable`.
    pub cache_control: Option<String>,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            max_block: 2 << 20,
            max_expires: 3_600,
            seal: None,
            if_none_match: false,
            octet_stream: true,
            cache_control: None,
        }
    }
}

/// Grants reads and writes of single blocks of one bucket.
///
/// It does no I/O and looks at no clock. Make one for as long as its credentials live: it keeps
/// the day's signing key. Threads may share it.
pub struct Granter {
    bucket: Bucket,
    keys: Keys,
    policy: Policy,
    signer: Option<Signer>,
    credentials_expire: Option<Timestamp>,
}

impl Granter {
    /// A granter that signs.
    ///
    /// # Errors
    /// [`Error::Sign`] where the credentials cannot be right, [`Error::ControlCharacter`] where
    /// the policy's `cache_control` holds one.
    pub fn new(
        bucket: Bucket,
        keys: Keys,
        credentials: Credentials,
        policy: Policy,
    ) -> Result<Self> {
        let signer = Signer::new(credentials, bucket.region())?;
        Ok(Self {
            signer: Some(signer),
            ..Self::public(bucket, keys, policy)?
        })
    }

    /// A granter for a bucket that anybody may read: its reads are plain URLs, and it grants no
    /// writes.
    ///
    /// # Errors
    /// [`Error::ControlCharacter`] as [`Self::new`].
    pub fn public(bucket: Bucket, keys: Keys, policy: Policy) -> Result<Self> {
        if let Some(value) = &policy.cache_control {
            check_text("cache_control", value)?;
        }
        Ok(Self {
            bucket,
            keys,
            policy,
            signer: None,
            credentials_expire: None,
        })
    }

    /// Says when temporary credentials end. A URL dies with the credentials that signed it, so no
    /// grant will promise more.
    #[must_use]
    pub fn with_credentials_expiry(mut self, at: Timestamp) -> Self {
        self.credentials_expire = Some(at);
        self
    }

    /// The bucket.
    pub fn bucket(&self) -> &Bucket {
        &self.bucket
    }

    /// How its blocks are named.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// What may be granted.
    pub fn policy(&self) -> &Policy {
        &self.policy
    }

    pub(crate) fn signer(&self) -> Result<&Signer> {
        self.signer.as_ref().ok_or(Error::Public)
    }

    pub(crate) fn is_public(&self) -> bool {
        self.signer.is_none()
    }

    /// For how many seconds a grant made now may live.
    pub(crate) fn life(&self, seconds: u32, now: Timestamp) -> Result<u32> {
        let limit = self.policy.max_expires.min(MAX_EXPIRES);
        if !(1..=limit).contains(&seconds) {
            return Err(Error::Expires { seconds, limit });
        }
        let Some(end) = self.credentials_expire else {
            return Ok(seconds);
        };
        match u32::try_from(end.unix().saturating_sub(now.unix())) {
            Ok(0) => Err(Error::CredentialsExpired),
            Ok(left) => Ok(seconds.min(left)),
            Err(_) => Ok(seconds),
        }
    }

    pub(crate) fn presign<'a>(&self, life: u32, now: Timestamp) -> Presign<'a> {
        Presign {
            scheme: self.bucket.scheme(),
            payload: cidbucket_sigv4::Payload::Unsigned,
            now,
            expires: life,
        }
    }

    /// Signs the URL of one block. `headers` are to be sent and signed; `host` is added here.
    pub(crate) fn signed_url(
        &self,
        method: Method,
        cid: &Cid,
        query: &[(&str, &str)],
        headers: Vec<(String, String)>,
        presign: &Presign<'_>,
    ) -> Result<Grant> {
        let path = self.bucket.path(&self.keys.key(cid));
        let url = self.signer()?.presign(
            &Request {
                method: method.as_str(),
                path: &path,
                query,
                headers: &self.with_host(&headers),
            },
            presign,
        )?;
        Ok(Grant {
            method,
            url,
            headers,
            expires: Some(presign.now.plus(presign.expires.into())),
        })
    }

    pub(crate) fn with_host<'a>(
        &'a self,
        headers: &'a [(String, String)],
    ) -> Vec<(&'a str, &'a str)> {
        let host = std::iter::once(("host", self.bucket.host()));
        host.chain(headers.iter().map(|(n, v)| (&**n, &**v)))
            .collect()
    }
}

/// Shows no secret.
impl fmt::Debug for Granter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Granter")
            .field("bucket", &self.bucket.to_string())
            .field("keys", &self.keys)
            .field("policy", &self.policy)
            .field("signer", &self.signer)
            .finish_non_exhaustive()
    }
}

/// Blocks that a store stores: all but those that are in their CID.
pub(crate) fn check_stored(cid: &Cid) -> Result<()> {
    if cid.hash().code() == IDENTITY {
        return Err(Error::Inline(*cid));
    }
    Ok(())
}

/// The whole SHA-256 of a block, from its CID.
pub(crate) fn sha256(cid: &Cid) -> Result<&[u8; 32]> {
    check_stored(cid)?;
    let digest = cid.hash().digest().try_into();
    match (cid.hash().code(), digest) {
        (SHA2_256, Ok(digest)) => Ok(digest),
        _ => Err(Error::NotSha256(*cid)),
    }
}

pub(crate) fn check_text(what: &'static str, text: &str) -> Result<()> {
    if text.contains(char::is_control) {
        return Err(Error::ControlCharacter(what));
    }
    Ok(())
}
