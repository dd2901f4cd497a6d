//! The pins of a store, which all its instances see.

use std::sync::Arc;

use cidbucket_blockstore::{Cid, Error, Report, Result};
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::clock::random;
use crate::pin::{Pin, PinType};
use crate::{Control, Records};

/// The pins of a store. Cloning is cheap.
///
/// A pin is one record, written as a whole, and its type and root are in its key: so listing what is
/// pinned reads no records. Of two writers of one pin the last one's name stays.
///
/// A root that is pinned recursively is not pinned directly as well. For a moment, while one becomes
/// the other, it may be both: it is never neither.
#[derive(Debug, Clone)]
pub struct Pins {
    records: Arc<dyn Records>,
    control: Control,
}

impl Pins {
    /// The pins among these records.
    pub fn new(records: Arc<dyn Records>, control: Control) -> Self {
        Self { records, control }
    }

    /// The pin of a block; the recursive one where there are both.
    pub async fn get(&self, cid: &Cid) -> Result<Option<Pin>> {
        let (recursive, direct) = futures::future::join(
            self.read(PinType::Recursive, cid),
            self.read(PinType::Direct, cid),
        )
        .await;
        Ok(match recursive? {
            Some(pin) => Some(pin),
            None => direct?,
        })
    }

    /// Writes a pin. One of the other type is replaced by it.
    pub async fn set(&self, pin: &Pin) -> Result<()> {
        let key = self.control.pin(pin.kind, &pin.root);
        self.records.put(&key, pin.encode(random()?)).await?;
        self.delete(other(pin.kind), &pin.root).await
    }

    /// Removes the pins of a block. Succeeds where there are none.
    pub async fn remove(&self, cid: &Cid) -> Result<()> {
        for kind in PinType::ALL {
            self.delete(kind, cid).await?;
        }
        Ok(())
    }

    /// The roots that are pinned so, page by page, in the order of their text.
    pub fn roots(&self, kind: PinType) -> BoxStream<'_, Result<Cid>> {
        let prefix = self.control.pins(kind);
        let pages = stream::try_unfold(Some(None), move |after: Option<Option<String>>| {
            let prefix = prefix.clone();
            async move {
                let Some(after) = after else {
                    return Ok(None);
                };
                let page = self.records.list(&prefix, after.as_deref()).await?;
                let last = page.entries.last().map(|entry| entry.key.clone());
                let roots: Vec<Result<Cid>> = page
                    .entries
                    .iter()
                    .map(|entry| {
                        self.control
                            .parse_pin(&entry.key)
                            .ok_or_else(|| unreadable(&entry.key))
                    })
                    .collect();
                let next = (page.more && last.is_some()).then_some(last);
                Ok(Some((stream::iter(roots), next)))
            }
        });
        pages.try_flatten().boxed()
    }

    /// The pins of a type with their particulars, several read at once, in the order of their text.
    pub fn list(&self, kind: PinType) -> BoxStream<'_, Result<Pin>> {
        self.roots(kind)
            .map(move |root| async move {
                let root = root?;
                self.read(kind, &root).await
            })
            .buffered(READS)
            // What was removed since it was listed is not there.
            .try_filter_map(|pin| async move { Ok(pin) })
            .boxed()
    }

    async fn read(&self, kind: PinType, cid: &Cid) -> Result<Option<Pin>> {
        let key = self.control.pin(kind, cid);
        let Some(record) = self.records.get(&key).await? else {
            return Ok(None);
        };
        match Pin::parse(&record.value) {
            Some(pin) if pin.root == *cid && pin.kind == kind => Ok(Some(pin)),
            _ => Err(unreadable(&key)),
        }
    }

    async fn delete(&self, kind: PinType, cid: &Cid) -> Result<()> {
        self.records.delete(&self.control.pin(kind, cid)).await
    }
}

/// How many records a listing reads at once.
const READS: usize = 16;

fn other(kind: PinType) -> PinType {
    match kind {
        PinType::Recursive => PinType::Direct,
        PinType::Direct => PinType::Recursive,
    }
}

/// A pin that cannot be read may keep anything: whoever asks what is pinned must stop.
fn unreadable(key: &str) -> Error {
    let report = Report::new(
        "read pin",
        "this is no pin that this version understands; move it away to go on without it",
    );
    Error::Protocol(report.with_key(key).into())
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::Block;
    use cidbucket_layout::Keys;

    use super::*;
    use crate::MemoryRecords;

    fn pins() -> (Pins, Arc<MemoryRecords>) {
        let records = Arc::new(MemoryRecords::new());
        let control = Control::new(&Keys::new("p".parse().unwrap(), "kubo".parse().unwrap()));
        (Pins::new(records.clone(), control), records)
    }

    fn cid(n: u32) -> Cid {
        *Block::raw(n.to_string()).cid()
    }

    #[tokio::test]
    async fn a_pin_of_one_type_replaces_that_of_the_other() {
        let (pins, _) = pins();
        assert_eq!(pins.get(&cid(1)).await.unwrap(), None);
        let mut pin = Pin::new(cid(1), PinType::Direct, 1);
        pins.set(&pin).await.unwrap();
        pin.kind = PinType::Recursive;
        pin.name = "b".into();
        pins.set(&pin).await.unwrap();
        let found = pins.get(&cid(1)).await.unwrap().unwrap();
        assert_eq!((found.kind, found.name.as_str()), (PinType::Recursive, "b"));
        let direct: Vec<_> = pins.roots(PinType::Direct).collect().await;
        assert!(direct.is_empty());
        pins.remove(&cid(1)).await.unwrap();
        pins.remove(&cid(1)).await.unwrap();
        assert_eq!(pins.get(&cid(1)).await.unwrap(), None);
    }

    #[tokio::test]
    async fn all_pages_are_listed() {
        let (pins, records) = pins();
        let mut all = Vec::new();
        for n in 0..250 {
            let mut pin = Pin::new(cid(n), PinType::Recursive, 1);
            pin.name = n.to_string();
            pins.set(&pin).await.unwrap();
            all.push(cid(n).to_string());
        }
        pins.set(&Pin::new(cid(1000), PinType::Direct, 1))
            .await
            .unwrap();
        all.sort();
        let roots: Vec<Cid> = pins.roots(PinType::Recursive).try_collect().await.unwrap();
        let texts: Vec<String> = roots.iter().map(Cid::to_string).collect();
        assert_eq!(texts, all);
        let listed: Vec<Pin> = pins.list(PinType::Recursive).try_collect().await.unwrap();
        assert_eq!(listed.len(), 250);
        assert!(
            listed
                .iter()
                .all(|pin| cid(pin.name.parse().unwrap()) == pin.root)
        );

        // What cannot be read is not passed over.
        records
            .put("p/.cidbucket/pins/recursive/zzz", "x".into())
            .await
            .unwrap();
        let roots: Result<Vec<Cid>> = pins.roots(PinType::Recursive).try_collect().await;
        assert!(matches!(roots, Err(Error::Protocol(_))));
    }

    #[tokio::test]
    async fn a_damaged_pin_is_an_error_and_not_absent() {
        let (pins, records) = pins();
        let key = format!("p/.cidbucket/pins/direct/{}", cid(1));
        records.put(&key, "x".into()).await.unwrap();
        assert!(matches!(pins.get(&cid(1)).await, Err(Error::Protocol(_))));
    }
}
