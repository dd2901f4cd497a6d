//! Where in the service's folder everything lies.

use cidbucket_blockstore::Cid;
use cidbucket_layout::{Keys, PrefixError};
use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};

use crate::LeaseId;
use crate::pin::PinType;

/// What the key of a lease's ending has behind that of the lease.
const END: &str = ".end";

/// The folder of a store in which the service keeps its own records.
///
/// | key | what |
/// |---|---|
/// | `.cidbucket/leases/{lease}` | a [lease](crate::Lease) |
/// | `.cidbucket/leases/{lease}.end` | how it [ended](crate::Ending) |
/// | `.cidbucket/quotas/{token}` | a [quota](crate::QuotaRecord) |
/// | `.cidbucket/staging/{lease}/…` | uploads whose hash was not recomputed yet |
/// | `.cidbucket/tenants/{tenant}/…` | a tenant's blocks |
/// | `.cidbucket/pins/{type}/{cid}` | a [pin](crate::Pin) |
/// | `.cidbucket/peer` | the [name](crate::Peer) that the nodes of this store have |
#[derive(Debug, Clone)]
pub struct Control {
    keys: Keys,
    folder: String,
}

impl Control {
    /// The folder beside the blocks of `keys`.
    pub fn new(keys: &Keys) -> Self {
        Self {
            folder: keys.control_prefix(),
            keys: keys.clone(),
        }
    }

    /// The keys of blocks that all share.
    pub fn shared(&self) -> &Keys {
        &self.keys
    }

    /// The keys of a tenant's blocks; those of the shared ones for no tenant.
    ///
    /// # Errors
    /// [`PrefixError`] where a tenant cannot have that name.
    pub fn blocks(&self, tenant: Option<&str>) -> Result<Keys, PrefixError> {
        tenant.map_or_else(|| Ok(self.keys.clone()), |name| self.keys.tenant(name))
    }

    /// The keys of a lease's staged uploads. A block lies under the `CIDv1` of codec raw and hash
    /// sha2-256 that has its SHA-256.
    ///
    /// # Errors
    /// [`PrefixError::TooLong`] where the store's prefix leaves too little room.
    pub fn staging(&self, lease: &LeaseId) -> Result<Keys, PrefixError> {
        self.keys.staging(&lease.to_string())
    }

    pub(crate) fn leases(&self) -> String {
        format!("{}leases/", self.folder)
    }

    pub(crate) fn lease(&self, id: &LeaseId) -> String {
        format!("{}leases/{id}", self.folder)
    }

    pub(crate) fn end(&self, id: &LeaseId) -> String {
        format!("{}leases/{id}{END}", self.folder)
    }

    /// The lease that a key of the leases' folder is about, and whether it is that of its ending.
    pub(crate) fn parse_lease(&self, key: &str) -> Option<(LeaseId, bool)> {
        let name = key.strip_prefix(&self.folder)?.strip_prefix("leases/")?;
        let (name, is_end) = match name.strip_suffix(END) {
            Some(name) => (name, true),
            None => (name, false),
        };
        Some((name.parse().ok()?, is_end))
    }

    pub(crate) fn quotas(&self) -> String {
        format!("{}quotas/", self.folder)
    }

    /// The key of a token's quota: named by a hash, so that any text can be a token's id.
    pub(crate) fn quota(&self, token: &str) -> String {
        let mut name = BASE32_NOPAD.encode(&Sha256::digest(token.as_bytes()));
        name.make_ascii_lowercase();
        format!("{}quotas/{name}", self.folder)
    }

    pub(crate) fn stagings(&self) -> String {
        format!("{}staging/", self.folder)
    }

    /// The lease in whose staging area a key lies.
    pub(crate) fn parse_staging(&self, key: &str) -> Option<LeaseId> {
        let name = key.strip_prefix(&self.folder)?.strip_prefix("staging/")?;
        name.split_once('/')?.0.parse().ok()
    }

    pub(crate) fn pins(&self, kind: PinType) -> String {
        format!("{}pins/{kind}/", self.folder)
    }

    /// The key of a pin. A CID has one text: `CIDv0` in base58btc, any other in base32.
    pub(crate) fn pin(&self, kind: PinType, cid: &Cid) -> String {
        format!("{}pins/{kind}/{cid}", self.folder)
    }

    /// The root of the pin that a key of the pins' folder is about.
    pub(crate) fn parse_pin(&self, key: &str) -> Option<Cid> {
        let name = key.strip_prefix(&self.folder)?.strip_prefix("pins/")?;
        let cid: Cid = name.split_once('/')?.1.parse().ok()?;
        key.ends_with(&cid.to_string()).then_some(cid)
    }

    pub(crate) fn peer(&self) -> String {
        format!("{}peer", self.folder)
    }
}
