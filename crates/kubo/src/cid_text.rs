//! CIDs as the client wants them written: `cid-base` and `upgrade-cidv0-in-output`.

use cidbucket_blockstore::Cid;
use multibase::Base;

use crate::wire::failure::Failure;
use crate::wire::options::Options;

/// The bases, by the names of the multibase table.
pub(crate) const BASES: &[(&str, Base)] = &[
    ("identity", Base::Identity),
    ("base2", Base::Base2),
    ("base8", Base::Base8),
    ("base10", Base::Base10),
    ("base16", Base::Base16Lower),
    ("base16upper", Base::Base16Upper),
    ("base32", Base::Base32Lower),
    ("base32upper", Base::Base32Upper),
    ("base32pad", Base::Base32PadLower),
    ("base32padupper", Base::Base32PadUpper),
    ("base32hex", Base::Base32HexLower),
    ("base32hexupper", Base::Base32HexUpper),
    ("base32hexpad", Base::Base32HexPadLower),
    ("base32hexpadupper", Base::Base32HexPadUpper),
    ("base32z", Base::Base32Z),
    ("base36", Base::Base36Lower),
    ("base36upper", Base::Base36Upper),
    ("base58btc", Base::Base58Btc),
    ("base58flickr", Base::Base58Flickr),
    ("base64", Base::Base64),
    ("base64pad", Base::Base64Pad),
    ("base64url", Base::Base64Url),
    ("base64urlpad", Base::Base64UrlPad),
];

/// The base of a name, or of the one letter that stands for it.
pub(crate) fn base(name: &str) -> Option<Base> {
    let named = BASES
        .iter()
        .find(|(known, base)| *known == name || (name.len() == 1 && name.starts_with(base.code())));
    named.map(|(_, base)| *base)
}

/// How an answer's CIDs are written.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CidText {
    base: Base,
    upgrade: bool,
}

impl CidText {
    pub(crate) fn of(options: &Options) -> Result<Self, Failure> {
        let base = match options.text("cid-base") {
            None => None,
            Some(name) => Some(
                base(name)
                    .ok_or_else(|| Failure::client(format!("unsupported multibase: {name:?}")))?,
            ),
        };
        Ok(Self {
            base: base.unwrap_or(Base::Base32Lower),
            // Whoever asks for another base cannot mean version 0, which has but one.
            upgrade: options
                .said("upgrade-cidv0-in-output")
                .unwrap_or(base.is_some_and(|base| base != Base::Base58Btc)),
        })
    }

    pub(crate) fn write(self, cid: &Cid) -> String {
        if cid.version() == ipld_core::cid::Version::V0 {
            if !self.upgrade {
                return cid.to_string();
            }
            let cid = Cid::new_v1(cid.codec(), *cid.hash());
            return multibase::encode(self.base, cid.to_bytes());
        }
        multibase::encode(self.base, cid.to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bases_and_upgrades() {
        let v0: Cid = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
            .parse()
            .unwrap();
        let text = |base, upgrade| CidText { base, upgrade };
        assert_eq!(text(Base::Base32Lower, false).write(&v0), v0.to_string());
        let v1 = text(Base::Base32Lower, true).write(&v0);
        assert_eq!(
            v1,
            "bafybeihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
        );
        let v1: Cid = v1.parse().unwrap();
        let hex = text(Base::Base16Lower, false).write(&v1);
        assert!(hex.starts_with("f01701220"), "{hex}");
        assert_eq!(base("z"), Some(Base::Base58Btc));
        assert_eq!(base("base33"), None);
    }
}
