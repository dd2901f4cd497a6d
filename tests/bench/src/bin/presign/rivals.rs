//! Rivals, each as its documentation has it, with whatever it caches kept between calls.

use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{
    PayloadChecksumKind, PercentEncodingMode, SessionTokenMode, SignableBody, SignableRequest,
    SignatureLocation, SigningSettings, UriPathNormalizationMode, sign,
};
use aws_sigv4::sign::v4;
use futures::executor::block_on;
use object_store::signer::Signer as _;
use rusty_s3::S3Action;

use crate::{
    ACCESS_KEY, BUCKET, CHECKSUM, Candidate, ENDPOINT, EXPIRES, KEY, REGION, SECRET, SIZE,
};

const LIFE: Duration = Duration::from_secs(EXPIRES as u64);

pub(crate) fn get() -> Vec<Candidate> {
    let (bucket, credentials) = rusty();
    let store = object_store();
    let path = object_store::path::Path::from(KEY);
    let sdk = aws_sdk();
    let config = presigning();
    vec![
        Candidate::new("rusty-s3", move || {
            bucket.get_object(Some(&credentials), KEY).sign(LIFE)
        }),
        Candidate::new("aws-sigv4", move || sigv4("GET", &[])),
        Candidate::new("object_store", move || {
            block_on(store.signed_url(http::Method::GET, &path, LIFE)).expect("URL")
        }),
        Candidate::new("aws-sdk-s3", move || {
            let request = sdk.get_object().bucket(BUCKET).key(KEY);
            block_on(request.presigned(config.clone())).expect("URL")
        }),
    ]
}

pub(crate) fn put() -> Vec<Candidate> {
    let (bucket, credentials) = rusty();
    let store = object_store();
    let path = object_store::path::Path::from(KEY);
    let sdk = aws_sdk();
    let config = presigning();
    let length = SIZE.to_string();
    vec![
        Candidate::new("rusty-s3", move || {
            let mut action = bucket.put_object(Some(&credentials), KEY);
            action.headers_mut().insert("content-length", "262144");
            action
                .headers_mut()
                .insert("x-amz-checksum-sha256", CHECKSUM);
            action.sign(LIFE)
        }),
        Candidate::new("aws-sigv4", move || {
            sigv4(
                "PUT",
                &[
                    ("content-length", &length),
                    ("x-amz-checksum-sha256", CHECKSUM),
                ],
            )
        }),
        Candidate::new("object_store (signs no headers)", move || {
            block_on(store.signed_url(http::Method::PUT, &path, LIFE)).expect("URL")
        }),
        Candidate::new("aws-sdk-s3", move || {
            let request = sdk
                .put_object()
                .bucket(BUCKET)
                .key(KEY)
                .content_length(SIZE.try_into().expect("small"))
                .checksum_sha256(CHECKSUM);
            block_on(request.presigned(config.clone())).expect("URL")
        }),
    ]
}

fn rusty() -> (rusty_s3::Bucket, rusty_s3::Credentials) {
    let bucket = rusty_s3::Bucket::new(
        ENDPOINT.parse().expect("URL"),
        rusty_s3::UrlStyle::Path,
        BUCKET,
        REGION,
    );
    (
        bucket.expect("bucket"),
        rusty_s3::Credentials::new(ACCESS_KEY, SECRET),
    )
}

fn object_store() -> object_store::aws::AmazonS3 {
    object_store::aws::AmazonS3Builder::new()
        .with_endpoint(ENDPOINT)
        .with_region(REGION)
        .with_bucket_name(BUCKET)
        .with_access_key_id(ACCESS_KEY)
        .with_secret_access_key(SECRET)
        .build()
        .expect("object_store")
}

fn aws_sdk() -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::Config::builder()
        .behavior_version(aws_sdk_s3::config::BehaviorVersion::latest())
        .region(aws_sdk_s3::config::Region::new(REGION))
        .credentials_provider(aws_sdk_s3::config::Credentials::new(
            ACCESS_KEY, SECRET, None, None, "bench",
        ))
        .endpoint_url(ENDPOINT)
        .force_path_style(true)
        .build();
    aws_sdk_s3::Client::from_conf(config)
}

fn presigning() -> aws_sdk_s3::presigning::PresigningConfig {
    aws_sdk_s3::presigning::PresigningConfig::expires_in(LIFE).expect("life")
}

fn sigv4(method: &str, headers: &[(&str, &str)]) -> String {
    let identity =
        aws_credential_types::Credentials::new(ACCESS_KEY, SECRET, None, None, "bench").into();
    let mut settings = SigningSettings::default();
    settings.percent_encoding_mode = PercentEncodingMode::Single;
    settings.payload_checksum_kind = PayloadChecksumKind::NoHeader;
    settings.signature_location = SignatureLocation::QueryParams;
    settings.expires_in = Some(LIFE);
    settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
    settings.session_token_mode = SessionTokenMode::Include;
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(REGION)
        .name("s3")
        .time(SystemTime::now())
        .settings(settings)
        .build()
        .expect("parameters")
        .into();
    let url = format!("{ENDPOINT}/{BUCKET}/{KEY}");
    let request = SignableRequest::new(
        method,
        url.as_str(),
        headers.iter().copied(),
        SignableBody::UnsignedPayload,
    );
    let (instructions, _) = sign(request.expect("request"), &params)
        .expect("signature")
        .into_parts();
    let mut request = http::Request::builder().uri(url).body(()).expect("request");
    instructions.apply_to_request_http1x(&mut request);
    request.uri().to_string()
}
