//! Store URLs, as a person or a configuration file gives them.
#![no_main]

use cidbucket_s3::{Env, S3Config};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let env = Env::default();
    for url in [text.to_owned(), format!("s3://bucket/{text}")] {
        if let Ok(config) = S3Config::from_url(&url, &env) {
            let again = S3Config::from_url(&config.to_string(), &env).expect("its own form");
            assert_eq!(again.to_string(), config.to_string());
            assert_eq!(again.bucket, config.bucket);
            assert_eq!(again.keys, config.keys);
        }
    }
});
