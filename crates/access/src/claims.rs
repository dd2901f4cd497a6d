//! What a token says, and the form in which it says it. `docs/tokens.md` specifies it.

use std::num::NonZeroU32;

use cidbucket_blockstore::{Hash, codec_code, codec_name};
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{Capability, Operation, Operations, Quota, Rate, Tenant, Window};

/// The longest `sub`, in bytes.
const MAX_SUBJECT: usize = 256;
/// The longest `iss` and the longest name in `aud`, in bytes.
const MAX_NAME: usize = 1024;
/// The longest `jti`, in bytes.
const MAX_ID: usize = 128;

/// What a token says.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Claims {
    /// What its bearer may do. `sub`, `jti` and `exp` are its `subject`, `token` and `expires`.
    pub capability: Capability,
    /// `iss`: who issued it.
    pub issuer: Option<String>,
    /// `aud`: the services it is for.
    pub audience: Vec<String>,
    /// `nbf`: from when on it is valid, in seconds since 1970-01-01 UTC.
    pub not_before: Option<u64>,
    /// `iat`: when it was issued, in seconds since 1970-01-01 UTC. Nothing is decided by it.
    pub issued: Option<u64>,
}

impl Claims {
    /// Claims of a capability alone.
    pub fn new(capability: Capability) -> Self {
        Self {
            capability,
            issuer: None,
            audience: Vec::new(),
            not_before: None,
            issued: None,
        }
    }
}

/// The JSON form. Unknown members are passed over, as RFC 7519 §4 wants it; those of `cap` are not.
#[derive(Deserialize, Serialize)]
pub(crate) struct Wire {
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    iss: Option<String>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    aud: Option<Audience>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    sub: Option<String>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    jti: Option<String>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    nbf: Option<Time>,
    exp: Time,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    iat: Option<Time>,
    cap: Cap,
    /// Claims for others. They are read in full all the same: what is passed over unread can be
    /// text that is no JSON.
    #[serde(flatten)]
    others: Map<String, Value>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Cap {
    ops: Vec<String>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    tenant: Option<String>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    hashes: Option<Vec<String>>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    codecs: Option<Vec<Codec>>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    max_block: Option<u64>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    max_bytes: Option<u64>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    window: Option<WireWindow>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    answer_stored: Option<bool>,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    rate: Option<WireRate>,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireWindow {
    bytes: u64,
    seconds: u64,
}

#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct WireRate {
    per_second: NonZeroU32,
    #[serde(
        default,
        deserialize_with = "given",
        skip_serializing_if = "Option::is_none"
    )]
    burst: Option<NonZeroU32>,
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Audience {
    One(String),
    Several(Vec<String>),
}

#[derive(Deserialize, Serialize)]
#[serde(untagged)]
enum Codec {
    Name(String),
    Code(u64),
}

/// Seconds since 1970-01-01 UTC; RFC 7519 allows a fraction, which is cut off.
#[derive(Clone, Copy, Serialize)]
struct Time(u64);

impl TryFrom<Wire> for Claims {
    type Error = String;

    fn try_from(wire: Wire) -> Result<Self, String> {
        let cap = wire.cap;
        let quota = (cap.max_bytes.is_some() || cap.window.is_some()).then(|| Quota {
            total: cap.max_bytes,
            window: cap.window.map(|window| Window {
                bytes: window.bytes,
                seconds: window.seconds,
            }),
        });
        let claims = Self {
            capability: Capability {
                subject: wire.sub.unwrap_or_default(),
                token: wire.jti.unwrap_or_default(),
                operations: operations(&cap.ops)?,
                tenant: (cap.tenant.as_deref())
                    .map(Tenant::new)
                    .transpose()
                    .map_err(|error| format!("`tenant`: {error}"))?,
                hashes: cap.hashes.as_deref().map(hashes).transpose()?,
                codecs: cap.codecs.as_deref().map(codecs).transpose()?,
                max_block: cap.max_block,
                quota,
                answer_stored: cap.answer_stored,
                rate: cap.rate.map(|rate| Rate {
                    per_second: rate.per_second,
                    burst: rate.burst.unwrap_or(rate.per_second),
                }),
                expires: Some(wire.exp.0),
            },
            issuer: wire.iss,
            audience: match wire.aud {
                None => Vec::new(),
                Some(Audience::One(one)) => vec![one],
                Some(Audience::Several(several)) if several.is_empty() => {
                    return Err("`aud` is an empty list: it would be for nobody".into());
                }
                Some(Audience::Several(several)) => several,
            },
            not_before: wire.nbf.map(|time| time.0),
            issued: wire.iat.map(|time| time.0),
        };
        claims.check()?;
        Ok(claims)
    }
}

impl TryFrom<&Claims> for Wire {
    type Error = String;

    fn try_from(claims: &Claims) -> Result<Self, String> {
        claims.check()?;
        let capability = &claims.capability;
        let text = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let exp = capability
            .expires
            .ok_or("`exp` is missing: every token ends some time")?;
        Ok(Self {
            iss: claims.issuer.clone(),
            aud: match claims.audience.as_slice() {
                [] => None,
                [one] => Some(Audience::One(one.clone())),
                several => Some(Audience::Several(several.to_vec())),
            },
            sub: text(&capability.subject),
            jti: text(&capability.token),
            nbf: claims.not_before.map(Time),
            exp: Time(exp),
            iat: claims.issued.map(Time),
            cap: Cap {
                ops: (capability.operations.iter())
                    .map(|operation| operation.name().into())
                    .collect(),
                tenant: capability.tenant.as_ref().map(ToString::to_string),
                hashes: (capability.hashes.as_deref())
                    .map(|codes| codes.iter().map(|&code| hash_name(code)).collect())
                    .transpose()?,
                codecs: (capability.codecs.as_deref())
                    .map(|codes| codes.iter().map(|&code| codec(code)).collect()),
                max_block: capability.max_block,
                max_bytes: capability.quota.and_then(|quota| quota.total),
                window: (capability.quota.and_then(|quota| quota.window)).map(|window| {
                    WireWindow {
                        bytes: window.bytes,
                        seconds: window.seconds,
                    }
                }),
                answer_stored: capability.answer_stored,
                rate: capability.rate.map(|rate| WireRate {
                    per_second: rate.per_second,
                    burst: Some(rate.burst),
                }),
            },
            others: Map::new(),
        })
    }
}

impl Claims {
    /// What holds for every token, issued or verified, beyond its form.
    fn check(&self) -> Result<(), String> {
        let capability = &self.capability;
        let check_text = |name: &str, text: &str, max: usize| {
            if text.len() > max || text.chars().any(char::is_control) {
                return Err(format!(
                    "`{name}` is longer than {max} bytes, or has control characters"
                ));
            }
            Ok(())
        };
        check_text("sub", &capability.subject, MAX_SUBJECT)?;
        check_text("jti", &capability.token, MAX_ID)?;
        if let Some(name) = &self.issuer {
            check_text("iss", name, MAX_NAME)?;
        }
        for name in &self.audience {
            check_text("aud", name, MAX_NAME)?;
        }
        if capability.operations == Operations::default() {
            return Err("`ops` is empty: it allows nothing".into());
        }
        for (name, list) in [
            ("hashes", &capability.hashes),
            ("codecs", &capability.codecs),
        ] {
            if list.as_ref().is_some_and(Vec::is_empty) {
                return Err(format!(
                    "`{name}` is empty: no block would be covered; left out, every one is"
                ));
            }
        }
        if let Some(quota) = &capability.quota {
            if capability.token.is_empty() {
                return Err("`jti` is missing: bytes are counted by it".into());
            }
            if quota.window.is_some_and(|window| window.seconds == 0) {
                return Err("`window` has no seconds".into());
            }
        }
        Ok(())
    }
}

fn operations(names: &[String]) -> Result<Operations, String> {
    names
        .iter()
        .map(|name| {
            (name.parse::<Operation>()).map_err(|error| format!("`ops` has {name:?}: {error}"))
        })
        .collect()
}

fn hashes(names: &[String]) -> Result<Vec<u64>, String> {
    names
        .iter()
        .map(|name| {
            Hash::from_name(name)
                .map(Hash::code)
                .ok_or_else(|| format!("`hashes` has {name:?}, which is no accepted hash function"))
        })
        .collect()
}

fn hash_name(code: u64) -> Result<String, String> {
    Hash::from_code(code)
        .map(Hash::name)
        .ok_or_else(|| format!("`hashes` has {code:#x}, which is no accepted hash function"))
}

fn codecs(list: &[Codec]) -> Result<Vec<u64>, String> {
    list.iter()
        .map(|codec| match codec {
            Codec::Code(code) => Ok(*code),
            Codec::Name(name) => codec_code(name)
                .ok_or_else(|| format!("`codecs` has {name:?}: give its number instead")),
        })
        .collect()
}

fn codec(code: u64) -> Codec {
    codec_name(code).map_or(Codec::Code(code), |name| Codec::Name(name.into()))
}

/// A member that may be left out, but not be `null`: that could be meant as a restriction.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(value: D) -> Result<Option<T>, D::Error> {
    T::deserialize(value).map(Some)
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(value: D) -> Result<Self, D::Error> {
        struct Seconds;

        impl Visitor<'_> for Seconds {
            type Value = Time;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("seconds since 1970-01-01 UTC")
            }

            fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<Time, E> {
                Ok(Time(seconds))
            }

            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within the range, and whole seconds are meant"
            )]
            fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<Time, E> {
                if (0.0..=9_007_199_254_740_992.0).contains(&seconds) {
                    Ok(Time(seconds as u64))
                } else {
                    Err(E::invalid_value(de::Unexpected::Float(seconds), &self))
                }
            }
        }

        value.deserialize_any(Seconds)
    }
}
