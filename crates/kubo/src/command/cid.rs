//! `cid`: CIDs in other forms.

use cidbucket_blockstore::codec::DAG_PB;
use cidbucket_blockstore::{CODECS, Cid, Hash, codec_name};
use ipld_core::cid::Version;
use multibase::Base;
use serde_json::{Value, json};

use super::{Context, block};
use crate::cid_text::{BASES, base};
use crate::wire::failure::Failure;

pub(super) async fn base32(context: Context) -> Result<(), Failure> {
    let form = Form {
        format: "%s".to_owned(),
        version: Some(Version::V1),
        codec: None,
        base: Some(Base::Base32Lower),
    };
    form.tell(context).await
}

pub(super) async fn format(context: Context) -> Result<(), Failure> {
    let options = &context.call.options;
    let form = Form {
        format: options.text("f").unwrap_or("%s").to_owned(),
        codec: options.text("mc").map(block::codec_of).transpose()?,
        base: match options.text("b") {
            None => None,
            Some(name) => Some(
                base(name)
                    .ok_or_else(|| Failure::new(format!("unsupported multibase: {name:?}")))?,
            ),
        },
        version: match options.text("v") {
            None => options.text("b").map(|_| Version::V1),
            Some("0") => Some(Version::V0),
            Some("1") => Some(Version::V1),
            Some(other) => return Err(Failure::new(format!("invalid cid version: {other:?}"))),
        },
    };
    if !form.format.contains('%') {
        return Err(Failure::new(format!(
            "invalid format string: {:?}",
            form.format
        )));
    }
    if form.version == Some(Version::V0) {
        if form.codec.is_some_and(|codec| codec != DAG_PB) {
            return Err(Failure::new(
                "cannot convert to CIDv0 with any codec other than dag-pb",
            ));
        }
        if form.base.is_some_and(|base| base != Base::Base58Btc) {
            return Err(Failure::new(
                "cannot convert to CIDv0 with any multibase other than the implicit base58btc",
            ));
        }
    }
    form.tell(context).await
}

/// How CIDs are to be written.
struct Form {
    format: String,
    version: Option<Version>,
    codec: Option<u64>,
    base: Option<Base>,
}

impl Form {
    async fn tell(self, mut context: Context) -> Result<(), Failure> {
        for text in &context.call.arguments {
            let (formatted, error) = match self.apply(text) {
                Ok(formatted) => (formatted, String::new()),
                Err(failure) => (String::new(), failure.message),
            };
            let line = json!({ "CidStr": text, "Formatted": formatted, "ErrorMsg": error });
            context.out.value(&line).await?;
        }
        Ok(())
    }

    fn apply(&self, text: &str) -> Result<String, Failure> {
        let wrong = |error: &dyn std::fmt::Display| Failure::new(format!("invalid cid: {error}"));
        let mut cid: Cid = text.parse().map_err(|error| wrong(&error))?;
        if let Some(codec) = self.codec
            && codec != cid.codec()
        {
            cid = Cid::new_v1(codec, *cid.hash());
        }
        match self.version {
            Some(Version::V0) if cid.codec() != DAG_PB => {
                return Err(Failure::new("can't convert non-dag-pb nodes to cidv0"));
            }
            Some(Version::V0) => cid = Cid::new_v0(*cid.hash()).map_err(|error| wrong(&error))?,
            Some(Version::V1) => cid = Cid::new_v1(cid.codec(), *cid.hash()),
            None => {}
        }
        let base = match (self.base, cid.version()) {
            (Some(base), _) => base,
            (None, Version::V0) => Base::Base58Btc,
            (None, Version::V1) => text
                .chars()
                .next()
                .and_then(|letter| Base::from_code(letter).ok())
                .unwrap_or(Base::Base32Lower),
        };
        format_cid(&self.format, base, &cid)
    }
}

/// Kubo's format strings: `%` and a letter.
fn format_cid(format: &str, base: Base, cid: &Cid) -> Result<String, Failure> {
    let is_v0 = cid.version() == Version::V0;
    let number = u8::from(!is_v0);
    let codec = || codec_name(cid.codec()).map_or_else(|| cid.codec().to_string(), str::to_owned);
    let hash = cid.hash();
    let name = || Hash::from_code(hash.code()).map_or_else(|| hash.code().to_string(), Hash::name);
    let whole = || {
        let base = if is_v0 { Base::Base58Btc } else { base };
        base.encode(cid.to_bytes())
    };
    let mut text = String::new();
    let mut letters = format.chars();
    while let Some(letter) = letters.next() {
        if letter != '%' {
            text.push(letter);
            continue;
        }
        let part = match letters.next() {
            Some('%') => "%".to_owned(),
            Some('b') => base_name(base).to_owned(),
            Some('B') => base.code().to_string(),
            Some('v') => format!("cidv{number}"),
            Some('V') => number.to_string(),
            Some('c') => codec(),
            Some('C') => cid.codec().to_string(),
            Some('h') => name(),
            Some('H') => hash.code().to_string(),
            Some('L') => hash.digest().len().to_string(),
            Some('m') => multibase::encode(base, hash.to_bytes()),
            Some('M') => base.encode(hash.to_bytes()),
            Some('d') => multibase::encode(base, hash.digest()),
            Some('D') => base.encode(hash.digest()),
            Some('s') if is_v0 => whole(),
            Some('s') => format!("{}{}", base.code(), whole()),
            Some('S') => whole(),
            Some('P') => format!(
                "cidv{number}-{}-{}-{}",
                codec(),
                name(),
                hash.digest().len()
            ),
            _ => {
                return Err(Failure::new(format!("invalid format string: {format:?}")));
            }
        };
        text.push_str(&part);
    }
    Ok(text)
}

fn base_name(base: Base) -> &'static str {
    let known = BASES.iter().find(|(_, known)| *known == base);
    known.map_or("", |(name, _)| name)
}

pub(super) async fn bases(mut context: Context) -> Result<(), Failure> {
    let list: Vec<Value> = BASES
        .iter()
        .map(|(name, base)| json!({ "Code": u32::from(base.code()), "Name": name }))
        .collect();
    context.out.single(&list).await
}

pub(super) async fn codecs(mut context: Context) -> Result<(), Failure> {
    let list: Vec<Value> = CODECS
        .iter()
        .map(|(name, code)| json!({ "Code": code, "Name": name }))
        .collect();
    context.out.single(&list).await
}

pub(super) async fn hashes(mut context: Context) -> Result<(), Failure> {
    let list: Vec<Value> = Hash::every()
        .map(|hash| json!({ "Code": hash.code(), "Name": hash.name() }))
        .collect();
    context.out.single(&list).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn format_strings() {
        let cid: Cid = "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n"
            .parse()
            .unwrap();
        let base = Base::Base58Btc;
        for (format, expected) in [
            (
                "%s",
                "QmdfTbBqBPQ7VNxZEYEj14VmRuZBkqFbiwReogJgS1zR1n".to_owned(),
            ),
            ("%P", "cidv0-dag-pb-sha2-256-32".to_owned()),
            ("%b|%B|%%", "base58btc|z|%".to_owned()),
            (
                "%v %V %c %C %h %H %L",
                "cidv0 0 dag-pb 112 sha2-256 18 32".to_owned(),
            ),
        ] {
            assert_eq!(
                format_cid(format, base, &cid).unwrap(),
                expected,
                "{format}"
            );
        }
        let digest = format_cid("%D", Base::Base16Lower, &cid).unwrap();
        assert_eq!(digest, data_encoding::HEXLOWER.encode(cid.hash().digest()));
        assert!(format_cid("%x", base, &cid).is_err());
        assert!(format_cid("%", base, &cid).is_err());
    }
}
