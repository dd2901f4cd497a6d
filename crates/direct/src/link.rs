//! A CID in a body: text in JSON, a link in DAG-CBOR.

use std::fmt;

use cid::Cid;
use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

/// A CID that is text in JSON and a link (tag 42) in DAG-CBOR.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Link(pub Cid);

impl From<Cid> for Link {
    fn from(cid: Cid) -> Self {
        Self(cid)
    }
}

impl Serialize for Link {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.collect_str(&self.0)
        } else {
            self.0.serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for Link {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Link;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the text of a CID")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Link, E> {
                // The text is not repeated: it may be anything.
                text.parse()
                    .map(Link)
                    .map_err(|error| E::custom(format_args!("not a CID: {error}")))
            }
        }

        if deserializer.is_human_readable() {
            deserializer.deserialize_str(Text)
        } else {
            Cid::deserialize(deserializer).map(Link)
        }
    }
}
