//! The promises of every store.

use cidbucket_blockstore::{DEFAULT_MAX_BLOCK, conformance};
use cidbucket_client::protocol::{ReadMode, Seal, WriteMode};
use cidbucket_client::{Direct, DirectBlockstore};

use crate::fake::{Fake, Setting};

async fn conforms(setting: Setting) {
    let fake = Fake::with(setting).await;
    conformance::all(&fake.client()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_with_authorised_reads_and_staged_writes() {
    conforms(Setting::default()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_with_public_reads_and_proxied_hashes() {
    let mut setting = Setting {
        stages: false,
        if_none_match: true,
        ..Setting::default()
    };
    setting.info.reads = ReadMode::Public;
    conforms(setting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_where_a_block_has_several_keys_and_grants_are_headers() {
    let mut setting = Setting {
        layout: "peergos".parse().unwrap(),
        ..Setting::default()
    };
    setting.info.seal = Some(Seal::Header);
    conforms(setting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_through_the_service() {
    let mut setting = Setting::default();
    setting.info.direct_reads = false;
    setting.info.writes = WriteMode::Proxied;
    let fake = Fake::with(setting).await;
    let store = fake.client();
    conformance::all(&store).await;
    assert_eq!(store.traffic().s3.requests, 0);
}

/// All settings at their smallest, so that every limit is met.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn conformance_one_by_one() {
    let mut setting = Setting::default();
    setting.info.limits.max_blocks = 3;
    let fake = Fake::with(setting).await;
    let mut config = fake.config();
    config.concurrency = 1;
    config.small_block = 0;
    config.batch_blocks = 7;
    config.batch_bytes = 1;
    conformance::all(&DirectBlockstore::new(config).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behaves_like_a_map() {
    for (seed, direct) in [(1, Direct::Auto), (2, Direct::Always), (3, Direct::Never)] {
        let fake = Fake::start().await;
        let mut config = fake.config();
        config.direct = direct;
        let store = DirectBlockstore::new(config).unwrap();
        conformance::model(&store, seed, 200).await;
        assert_eq!(store.traffic().s3.requests == 0, direct == Direct::Never);
    }
}

#[tokio::test]
async fn a_smaller_limit_is_the_client_s_own() {
    let fake = Fake::start().await;
    let mut config = fake.config();
    config.limits.max_block = DEFAULT_MAX_BLOCK / 2;
    let store = DirectBlockstore::new(config).unwrap();
    conformance::limit_of(&store, DEFAULT_MAX_BLOCK / 2).await;
}
