//! `AsBlockstore`: the conformance suite by way of the other trait, and what that trait has beside.

use std::sync::Arc;

use async_trait::async_trait;
use blockstore::Blockstore as _;
use blockstore::Error as Other;
use blockstore::block::{Block as Encoded, CidError};
use cid::CidGeneric;
use cid::multihash::Multihash;
use cidbucket_adapters::AsBlockstore;
use cidbucket_blockstore::{
    Block, Blockstore, Cid, CountingBlockstore, Cursor, Error, FailingBlockstore, Hash, Listing,
    MemoryBlockstore, Operation, Report, Result, conformance,
};

/// The way there and back: our trait over the other one over our store. The listing, which the
/// other trait lacks, is that of the store underneath.
#[derive(Debug)]
struct ThereAndBack(AsBlockstore<Arc<dyn Blockstore>>);

#[async_trait]
impl Blockstore for ThereAndBack {
    async fn get(&self, cid: &Cid) -> Result<Option<Block>> {
        let found = self.0.get(cid).await.map_err(|error| back(&error))?;
        found.map(|data| Block::new(*cid, data)).transpose()
    }

    async fn put(&self, block: &Block) -> Result<()> {
        let put = self.0.put_keyed(block.cid(), block.data());
        put.await.map_err(|error| back(&error))
    }

    async fn size(&self, cid: &Cid) -> Result<Option<u64>> {
        let found = self.0.get(cid).await.map_err(|error| back(&error))?;
        Ok(found.map(|data| data.len() as u64))
    }

    async fn delete(&self, cid: &Cid) -> Result<()> {
        self.0.remove(cid).await.map_err(|error| back(&error))
    }

    fn list(&self, from: Cursor) -> Listing<'_> {
        self.0.inner().list(from)
    }

    async fn has(&self, cid: &Cid) -> Result<bool> {
        self.0.has(cid).await.map_err(|error| back(&error))
    }
}

fn back(error: &Other) -> Error {
    let report = Report::new("blockstore", error.to_string()).into();
    match error {
        Other::ValueTooLarge => Error::TooLarge(report),
        Other::CidError(_) => Error::Invalid(report),
        Other::StoredDataError(_) => Error::Corrupt(report),
        _ => Error::Unavailable(report),
    }
}

fn there_and_back() -> ThereAndBack {
    ThereAndBack(AsBlockstore::new(Arc::new(MemoryBlockstore::new())))
}

#[tokio::test]
async fn the_adapter_keeps_every_promise() {
    conformance::all(&there_and_back()).await;
    for seed in 1..4 {
        conformance::model(&there_and_back(), seed, 300).await;
    }
}

#[tokio::test]
async fn bytes_of_another_block_are_refused() {
    let store = AsBlockstore::new(MemoryBlockstore::new());
    let right = Block::raw("right");
    let refused = store.put_keyed(right.cid(), b"wrong").await;
    let text = match refused {
        Err(Other::CidError(CidError::InvalidCid(text))) => text,
        other => panic!("wrong bytes are an invalid CID, not {other:?}"),
    };
    assert!(text.contains("sha2-256"), "{text}");
    assert!(store.inner().is_empty(), "nothing was stored");
}

#[tokio::test]
async fn each_error_has_its_place() {
    let block = Block::raw("block");
    let answer = async |error: fn(Box<Report>) -> Error| {
        let store = FailingBlockstore::new(MemoryBlockstore::new());
        store.fail_nth(
            Operation::Get,
            1,
            error(Report::new("get", "so it is").into()),
        );
        let store = AsBlockstore::new(store);
        let error = store.get(block.cid()).await.expect_err("it fails");
        assert_eq!(
            store.get(block.cid()).await.expect("it is well again"),
            None
        );
        error
    };
    assert!(matches!(
        answer(Error::Corrupt).await,
        Other::StoredDataError(_)
    ));
    assert!(matches!(
        answer(Error::TooLarge).await,
        Other::ValueTooLarge
    ));
    assert!(matches!(
        answer(Error::Invalid).await,
        Other::CidError(CidError::InvalidCid(_))
    ));
    for (error, class) in [
        (Error::Throttled as fn(_) -> _, "throttled: "),
        (Error::Unavailable, "unavailable: "),
        (Error::Denied, "denied: "),
        (Error::NoStore, "no such store: "),
        (Error::Protocol, "protocol error: "),
        (Error::Io, "i/o error: "),
        (Error::Conflict, "conflict: "),
        (Error::Unsupported, "unsupported: "),
    ] {
        match answer(error).await {
            Other::FatalDatabaseError(text) => assert!(text.starts_with(class), "{text}"),
            other => panic!("{class}is fatal, not {other:?}"),
        }
    }
}

#[tokio::test]
async fn cids_of_any_size_are_one_block() {
    let store = AsBlockstore::new(MemoryBlockstore::new());
    let block = Block::raw("block");
    let small: CidGeneric<32> = sized(block.cid());
    let large: CidGeneric<128> = sized(block.cid());
    store
        .put_keyed(&small, block.data())
        .await
        .expect("it fits");
    assert!(store.has(&large).await.expect("it fits"));
    assert_eq!(
        store.get(&large).await.expect("it fits"),
        Some(b"block".to_vec())
    );
    store.remove(&large).await.expect("it fits");
    assert!(!store.has(&small).await.expect("it fits"));

    // 65 bytes of digest, which no CID of ours can hold.
    let over = CidGeneric::<128>::new_v1(0x55, Multihash::wrap(0x00, &[0; 65]).expect("it fits"));
    let too_large = |error| matches!(error, Some(Other::CidTooLarge));
    assert!(too_large(store.get(&over).await.err()));
    assert!(too_large(store.has(&over).await.err()));
    assert!(too_large(store.put_keyed(&over, &[0; 65]).await.err()));
    assert!(too_large(store.remove(&over).await.err()));
}

fn sized<const N: usize>(cid: &Cid) -> CidGeneric<N> {
    let hash = Multihash::wrap(cid.hash().code(), cid.hash().digest()).expect("it fits");
    CidGeneric::new(cid.version(), cid.codec(), hash).expect("as it was")
}

/// A block that its user encoded.
struct Text(String);

impl Encoded<64> for Text {
    fn cid(&self) -> Result<Cid, CidError> {
        let hash = Hash::Sha2_256.digest(self.data()).expect("any length");
        Ok(Cid::new_v1(0x55, hash))
    }

    fn data(&self) -> &[u8] {
        self.0.as_bytes()
    }
}

#[tokio::test]
async fn batches_run_many_at_once_and_end_at_the_first_refusal() {
    let texts = || (0..100).map(|n| Text(format!("text {n}")));
    let store = AsBlockstore::new(CountingBlockstore::new(MemoryBlockstore::new()));
    store.put_many(texts()).await.expect("nothing to refuse");
    assert_eq!(store.inner().inner().len(), 100);
    for text in texts() {
        let cid = text.cid().expect("it has one");
        assert_eq!(
            store.get(&cid).await.expect("it is there"),
            Some(text.0.into_bytes())
        );
    }

    // The 51st is wrong: the 50 before it are stored, none behind it.
    let store = AsBlockstore::new(MemoryBlockstore::new());
    let keyed = texts().enumerate().map(|(n, text)| {
        let cid = text.cid().expect("it has one");
        (cid, if n == 50 { "wrong".into() } else { text.0 })
    });
    let refused = store.put_many_keyed(keyed).await;
    assert!(matches!(refused, Err(Other::CidError(_))));
    assert_eq!(store.inner().len(), 50);

    // The store refuses the 5th.
    let failing = FailingBlockstore::new(MemoryBlockstore::new());
    failing.fail_nth(
        Operation::Put,
        5,
        Error::Denied(Report::new("put", "no").into()),
    );
    let store = AsBlockstore::new(failing);
    let refused = store.put_many(texts()).await;
    assert!(matches!(refused, Err(Other::FatalDatabaseError(_))));
    let stored = store.into_inner().inner().len();
    assert!((4..30).contains(&stored), "{stored} of 100 were stored");
}
