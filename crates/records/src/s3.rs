//! Records as objects of a bucket.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use bytes::Bytes;
use cidbucket_blockstore::{Error, Report, Result};
use cidbucket_s3::{GetObject, ListObjectsV2, Put, PutObject, S3Client};
use sha2::{Digest, Sha256};

use crate::records::{Conditions, Entry, MAX_RECORD, Page, Record, Records, Tag};

/// Media type of DAG-CBOR.
const DAG_CBOR: &str = "application/vnd.ipld.dag-cbor";
/// How often a write whose outcome is not known is looked up and sent again. The client itself has
/// tried several times by then.
const ATTEMPTS: u32 = 3;

/// Records in the bucket of an S3 client.
#[derive(Debug)]
pub struct S3Records {
    client: S3Client,
    conditions: Conditions,
    /// This server compares `If-Match` with a tag without its quotes (Ceph 16).
    bare_tags: AtomicBool,
}

impl S3Records {
    /// The records in `client`'s bucket, at whose server these conditions hold.
    pub fn new(client: S3Client, conditions: Conditions) -> Self {
        Self {
            client,
            conditions,
            bare_tags: AtomicBool::new(false),
        }
    }

    /// The client underneath.
    pub fn client(&self) -> &S3Client {
        &self.client
    }

    async fn write(
        &self,
        key: &str,
        value: &Bytes,
        sha256: [u8; 32],
        condition: Condition<'_>,
    ) -> Result<Put> {
        let config = self.client.config();
        let mut put = PutObject::new(value.clone(), sha256);
        put.content_type = DAG_CBOR;
        put.checksum = config.send_checksum;
        put.encryption = config.encryption.as_ref();
        put.if_absent = matches!(condition, Condition::Absent) && self.conditions.create;
        put.if_match = match condition {
            Condition::Tag(tag) => Some(tag),
            _ => None,
        };
        self.client.put_object(key, &put).await
    }
}

/// What must be there for a write to be carried out.
#[derive(Clone, Copy)]
enum Condition<'a> {
    Any,
    Absent,
    Tag(&'a str),
}

#[async_trait]
impl Records for S3Records {
    fn conditions(&self) -> Conditions {
        self.conditions
    }

    async fn get(&self, key: &str) -> Result<Option<Record>> {
        let whole = GetObject::whole(MAX_RECORD);
        let Some(object) = self.client.get_object(key, &whole).await? else {
            return Ok(None);
        };
        let tag = object
            .etag
            .ok_or_else(|| protocol(key, "an object without an ETag"))?;
        Ok(Some(Record {
            value: object.data,
            tag: Tag(tag),
        }))
    }

    async fn get_start(&self, key: &str, length: usize) -> Result<Option<Bytes>> {
        let range = GetObject::range(0..length as u64);
        Ok(self
            .client
            .get_object(key, &range)
            .await?
            .map(|object| object.data))
    }

    async fn create(&self, key: &str, value: Bytes) -> Result<Option<Tag>> {
        if !self.conditions.create && self.get_start(key, 1).await?.is_some() {
            return Ok(None);
        }
        let sha256 = Sha256::digest(&value).into();
        let mut failure = None;
        for _ in 0..ATTEMPTS {
            match self.write(key, &value, sha256, Condition::Absent).await {
                Ok(Put::Written { etag }) => return Ok(Some(Tag(etag))),
                // Maybe an earlier try of ours whose answer was lost.
                Ok(Put::Exists) => {
                    if let Some(found) = self.get(key).await? {
                        return Ok((found.value == value).then_some(found.tag));
                    }
                }
                Err(error) if is_ambiguous(&error) => {
                    match self.get(key).await {
                        Ok(Some(found)) => {
                            return Ok((found.value == value).then_some(found.tag));
                        }
                        Ok(None) => {}
                        Err(_) => return Err(error),
                    }
                    failure = Some(error);
                }
                Err(error) => return Err(error),
            }
        }
        Err(failure.unwrap_or_else(|| restless(key)))
    }

    async fn replace(&self, key: &str, value: Bytes, tag: &Tag) -> Result<Option<Tag>> {
        if !self.conditions.replace {
            return Err(unsupported(key, "this server does not honour If-Match"));
        }
        let sha256 = Sha256::digest(&value).into();
        let mut failure = None;
        let mut refused = [false; 2];
        for _ in 0..ATTEMPTS {
            let bare = self.bare_tags.load(Ordering::Relaxed);
            let text = if bare {
                tag.0.trim_matches('"')
            } else {
                tag.0.as_str()
            };
            let error = match self.write(key, &value, sha256, Condition::Tag(text)).await {
                Ok(Put::Written { etag }) => return Ok(Some(Tag(etag))),
                Ok(Put::Exists) => return Err(protocol(key, "refused a condition not set")),
                Err(error) => error,
            };
            let condition_failed = matches!(error, Error::Conflict(_))
                || (matches!(error, Error::NoStore(_))
                    && error.report().code() != Some("NoSuchBucket"));
            if !condition_failed && !is_ambiguous(&error) {
                return Err(error);
            }
            match self.get(key).await {
                Ok(Some(found)) if found.value == value => return Ok(Some(found.tag)),
                Ok(Some(found)) if found.tag == *tag => {
                    if condition_failed {
                        // The right tag was refused: the server may want it in the other form.
                        refused[usize::from(bare)] = true;
                        if refused == [true, true] {
                            return Err(unsupported(key, "the server refuses the right ETag"));
                        }
                        self.bare_tags.store(!bare, Ordering::Relaxed);
                    }
                }
                Ok(_) => return Ok(None),
                Err(_) if !condition_failed => return Err(error),
                Err(error) => return Err(error),
            }
            failure = Some(error);
        }
        Err(failure.unwrap_or_else(|| restless(key)))
    }

    async fn put(&self, key: &str, value: Bytes) -> Result<()> {
        let sha256 = Sha256::digest(&value).into();
        match self.write(key, &value, sha256, Condition::Any).await? {
            Put::Written { .. } => Ok(()),
            Put::Exists => Err(protocol(key, "refused a condition not set")),
        }
    }

    async fn delete(&self, key: &str) -> Result<()> {
        self.client.delete_object(key).await
    }

    async fn list(&self, prefix: &str, after: Option<&str>) -> Result<Page> {
        let mut list = ListObjectsV2::with_prefix(prefix);
        list.start_after = after;
        let page = self.client.list_objects_v2(&list).await?;
        if page.truncated && page.objects.is_empty() {
            return Err(protocol(prefix, "a page of keys that are not UTF-8"));
        }
        let entries = page.objects.into_iter().map(|object| Entry {
            key: object.key,
            size: object.size,
            modified: object.modified,
            tag: object.etag.map(Tag),
        });
        Ok(Page {
            entries: entries.collect(),
            more: page.truncated,
        })
    }
}

/// Whether a write that failed so may have been carried out.
fn is_ambiguous(error: &Error) -> bool {
    matches!(
        error,
        Error::Unavailable(_) | Error::Throttled(_) | Error::Protocol(_) | Error::Corrupt(_)
    )
}

fn protocol(key: &str, message: &'static str) -> Error {
    Error::Protocol(Report::new("record", message).with_key(key).into())
}

fn unsupported(key: &str, message: &'static str) -> Error {
    Error::Unsupported(Report::new("record", message).with_key(key).into())
}

fn restless(key: &str) -> Error {
    let report = Report::new("record", "it keeps coming and going").with_key(key);
    Error::Unavailable(report.into())
}
