//! Runs the embedded S3 server until it is interrupted. Prints one JSON line when it is ready.
//!
//! ```text
//! cargo run -p cidbucket-dev-s3 --example dev-s3 [DATA_DIR]
//! ```

use cidbucket_dev_s3::DevS3;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut builder = DevS3::builder().bucket("bucket").public_bucket("public");
    if let Some(dir) = std::env::args_os().nth(1) {
        builder = builder.data_dir(dir);
    }
    let s3 = builder.start().await?;
    let ready = serde_json::json!({
        "endpoint": s3.endpoint(),
        "bucket": "bucket",
        "region": s3.region(),
        "access_key": s3.access_key(),
        "secret_key": s3.secret_key(),
    });
    println!("{ready}");
    tokio::signal::ctrl_c().await?;
    s3.shutdown().await;
    Ok(())
}
