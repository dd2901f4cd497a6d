//! The promises of a store, kept by the S3 store on the server under test.

use cidbucket_blockstore::conformance;
use cidbucket_layout::Layout;
use cidbucket_s3::{Env, S3Blockstore, S3Config};
use cidbucket_tests::Target;

fn store(target: &Target, parameters: &str) -> S3Blockstore {
    let env = Env::empty()
        .with("AWS_ACCESS_KEY_ID", &*target.access_key)
        .with("AWS_SECRET_ACCESS_KEY", &*target.secret_key);
    let config = S3Config::from_url(&target.store_with(parameters), &env);
    S3Blockstore::new(config.expect("a store URL")).expect("a client")
}

#[tokio::test]
async fn every_promise_is_kept() {
    let target = Target::new();
    conformance::all(&store(&target, "")).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_promise_is_kept_in_every_layout() {
    let target = Target::new();
    // One beside the other: they spend their time waiting.
    let layouts = Layout::examples().into_iter().map(|layout| {
        let suffix = format!("/{}", layout.to_string().replace(':', "-"));
        let target = target.with_suffix(&suffix);
        tokio::spawn(async move {
            let store = store(&target, &format!("&layout={layout}"));
            conformance::all(&store).await;
        })
    });
    for layout in layouts.collect::<Vec<_>>() {
        layout.await.expect("the checks of a layout");
    }
}

#[tokio::test]
async fn it_behaves_as_the_reference_model() {
    for seed in 1..=3 {
        let target = Target::new();
        conformance::model(&store(&target, ""), seed, 400).await;
    }
}
