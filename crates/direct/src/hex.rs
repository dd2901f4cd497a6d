//! A digest in a body: hexadecimal in JSON, bytes in DAG-CBOR. For `#[serde(with)]`.

use std::fmt;

use data_encoding::HEXLOWER;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

type Digest = [u8; 32];

#[expect(clippy::ref_option, reason = "the form that serde calls")]
pub(crate) fn serialize<S: Serializer>(
    digest: &Option<Digest>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    digest.map(Form).serialize(serializer)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Digest>, D::Error> {
    Ok(Option::<Form>::deserialize(deserializer)?.map(|form| form.0))
}

struct Form(Digest);

impl Serialize for Form {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&HEXLOWER.encode(&self.0))
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for Form {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;
        impl Visitor<'_> for Any {
            type Value = Form;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a digest of 32 bytes")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Form, E> {
                // `decode_mut` panics where the lengths do not fit.
                let mut digest = [0; 32];
                if text.len() == 64 && HEXLOWER.decode_mut(text.as_bytes(), &mut digest).is_ok() {
                    Ok(Form(digest))
                } else {
                    Err(E::custom("a digest is 64 lower-case hexadecimal digits"))
                }
            }

            fn visit_bytes<E: de::Error>(self, bytes: &[u8]) -> Result<Form, E> {
                bytes
                    .try_into()
                    .map(Form)
                    .map_err(|_| E::invalid_length(bytes.len(), &self))
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Any)
        } else {
            deserializer.deserialize_bytes(Any)
        }
    }
}
