//! The promises of a store, kept by the S3 store on the server under test.

use cidbucket_blockstore::conformance;
use cidbucket_s3::{Env, S3Blockstore, S3Config};
use cidbucket_tests::Target;

fn store(target: &Target) -> S3Blockstore {
    let env = Env::empty()
        .with("AWS_ACCESS_KEY_ID", &*target.access_key)
        .with("AWS_SECRET_ACCESS_KEY", &*target.secret_key);
    let config = S3Config::from_url(&target.store(), &env);
    S3Blockstore::new(config.expect("a store URL")).expect("a client")
}

#[tokio::test]
async fn every_promise_is_kept() {
    let target = Target::new();
    conformance::all(&store(&target)).await;
}

#[tokio::test]
async fn it_behaves_as_the_reference_model() {
    let target = Target::new();
    conformance::model(&store(&target), 1, 300).await;
}
