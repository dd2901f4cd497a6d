//! What operations cost, in requests and bytes.

use cidbucket_blockstore::{Block, Blockstore, Cid, Hash};
use cidbucket_client::protocol::ReadMode;
use futures::future::join_all;
use futures::stream::{self, StreamExt};

use crate::fake::Fake;

pub(crate) fn blocks(count: u32, size: usize) -> Vec<Block> {
    let block = |n: u32| {
        let mut data = vec![7; size];
        data[..4].copy_from_slice(&n.to_le_bytes());
        Block::raw(data)
    };
    (0..count).map(block).collect()
}

pub(crate) async fn put_all(store: &dyn Blockstore, blocks: &[Block]) {
    let answers: Vec<_> = store
        .put_many(stream::iter(blocks.to_vec()).boxed())
        .collect()
        .await;
    assert_eq!(answers.len(), blocks.len());
    for (cid, answer) in answers {
        answer.unwrap_or_else(|error| panic!("{cid}: {error}"));
    }
}

pub(crate) async fn get_all(store: &dyn Blockstore, blocks: &[Block]) {
    let cids: Vec<Cid> = blocks.iter().map(|block| *block.cid()).collect();
    let answers: Vec<_> = store.get_many(stream::iter(cids).boxed()).collect().await;
    assert_eq!(answers.len(), blocks.len());
    for ((cid, answer), block) in answers.into_iter().zip(blocks) {
        let got = answer.unwrap_or_else(|error| panic!("{cid}: {error}"));
        assert_eq!(got.as_ref(), Some(block));
    }
}

#[tokio::test]
async fn a_batch_is_one_lease_and_one_request_for_reads() {
    let fake = Fake::start().await;
    let store = fake.client();
    let blocks = blocks(300, 10_000);
    put_all(&store, &blocks).await;
    assert_eq!(fake.sizes("writes"), [300]);
    assert_eq!(fake.asked("complete"), 1);
    assert_eq!(fake.state.s3.faults().count("PutObject"), 300);
    get_all(&store, &blocks).await;
    assert_eq!(fake.sizes("reads"), [300]);
    assert_eq!(fake.asked("info"), 1);
    assert_eq!(fake.asked("put") + fake.asked("get"), 0);
    assert_eq!(fake.open_leases(), 0);

    let traffic = store.traffic();
    assert_eq!(traffic.s3.requests, 600);
    assert_eq!(traffic.s3.bytes_out, 3_000_000);
    assert!(traffic.s3.bytes_in >= 3_000_000);
    assert_eq!(traffic.service.requests, 4);
    let through = traffic.service.wire_in + traffic.service.wire_out;
    assert!(through < 60_000, "{through} bytes for 600 grants");
    assert!(through > traffic.service.bytes_in + traffic.service.bytes_out);
    assert!(traffic.s3.wire_out > traffic.s3.bytes_out);
    assert_eq!(traffic.fallbacks, 0);
}

#[tokio::test]
async fn a_batch_is_cut_by_its_bytes() {
    let fake = Fake::start().await;
    let mut config = fake.config();
    config.batch_bytes = 1_000_000;
    let store = cidbucket_client::DirectBlockstore::new(config).unwrap();
    put_all(&store, &blocks(50, 100_000)).await;
    let sizes = fake.sizes("writes");
    assert_eq!(sizes.iter().sum::<usize>(), 50);
    assert!(sizes.iter().all(|&size| size <= 10), "{sizes:?}");
    assert_eq!(fake.asked("complete"), sizes.len());
}

#[tokio::test]
async fn a_block_twice_in_a_batch_is_sent_once() {
    let fake = Fake::start().await;
    let store = fake.client();
    let block = blocks(1, 10_000).remove(0);
    put_all(&store, &vec![block; 50]).await;
    assert_eq!(fake.sizes("writes"), [1]);
    assert_eq!(fake.state.s3.faults().count("PutObject"), 1);
}

#[tokio::test]
async fn callers_at_once_share_requests() {
    let fake = Fake::start().await;
    let store = fake.client();
    let blocks = blocks(100, 10_000);
    for put in join_all(blocks.iter().map(|block| store.put(block))).await {
        put.unwrap();
    }
    assert_eq!(
        fake.sizes("writes"),
        [1, 99],
        "the first at once, the others together"
    );
    for size in join_all(blocks.iter().map(|block| store.size(block.cid()))).await {
        assert_eq!(size.unwrap(), Some(10_000));
    }
    assert_eq!(fake.sizes("head"), [1]);
    assert_eq!(fake.sizes("reads"), [99]);
    for got in join_all(blocks.iter().map(|block| store.get(block.cid()))).await {
        assert!(got.unwrap().is_some());
    }
    assert_eq!(fake.sizes("reads"), [99, 1, 99]);

    // Read grants are kept.
    for got in join_all(blocks.iter().map(|block| store.get(block.cid()))).await {
        assert!(got.unwrap().is_some());
    }
    get_all(&store, &blocks).await;
    assert_eq!(fake.sizes("reads"), [99, 1, 99]);
}

#[tokio::test]
async fn a_small_block_alone_goes_through_the_service() {
    let fake = Fake::start().await;
    let store = fake.client();
    for (size, puts) in [(4096, 1), (4097, 1)] {
        let block = Block::raw(vec![1; size]);
        store.put(&block).await.unwrap();
        assert_eq!(fake.asked("put"), puts);
        assert_eq!(store.get(block.cid()).await.unwrap(), Some(block));
    }
    put_all(&store, &blocks(2, 100)).await;
    assert_eq!(fake.asked("put"), 1, "two are not alone");
}

#[tokio::test]
async fn public_reads_ask_the_service_nothing() {
    let fake = Fake::start().await;
    let writer = fake.client();
    let blocks = blocks(20, 1000);
    put_all(&writer, &blocks).await;
    fake.set(|setting| setting.info.reads = ReadMode::Public);
    let store = fake.client();
    get_all(&store, &blocks).await;
    assert!(store.has(blocks[0].cid()).await.unwrap());
    let absent = Block::raw("absent");
    assert_eq!(store.get(absent.cid()).await.unwrap(), None);
    assert!(!store.has(absent.cid()).await.unwrap());
    assert_eq!(store.traffic().service.requests, 1, "its info");
}

#[tokio::test]
async fn another_hash_is_staged_and_seen_after_completion() {
    let fake = Fake::start().await;
    let store = fake.client();
    let block = Block::encode(0x55, Hash::Blake3, vec![5; 50_000]).unwrap();
    store.put(&block).await.unwrap();
    assert_eq!(store.get(block.cid()).await.unwrap(), Some(block));
    assert_eq!(fake.asked("put"), 0);
    assert_eq!(store.traffic().s3.bytes_out, 50_000);
}
