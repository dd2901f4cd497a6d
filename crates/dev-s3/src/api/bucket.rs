//! Buckets and their settings.

use std::sync::Arc;

use s3s::{
    S3Request, S3Result,
    dto::{
        Bucket, BucketLocationConstraint, CreateBucketInput, CreateBucketOutput,
        DeleteBucketCorsInput, DeleteBucketCorsOutput, DeleteBucketInput, DeleteBucketOutput,
        DeleteBucketPolicyInput, DeleteBucketPolicyOutput, GetBucketCorsInput, GetBucketCorsOutput,
        GetBucketLocationInput, GetBucketLocationOutput, GetBucketPolicyInput,
        GetBucketPolicyOutput, GetBucketVersioningInput, GetBucketVersioningOutput,
        HeadBucketInput, HeadBucketOutput, ListBucketsInput, ListBucketsOutput, PutBucketCorsInput,
        PutBucketCorsOutput, PutBucketPolicyInput, PutBucketPolicyOutput,
    },
    s3_error,
};

use super::{Api, blocking, owner, timestamp};
use crate::{cors, policy, store};

pub(super) async fn create_bucket(
    api: &Api,
    request: S3Request<CreateBucketInput>,
) -> S3Result<CreateBucketOutput> {
    let name = request.input.bucket;
    let location = format!("/{name}");
    let store = Arc::clone(&api.store);
    blocking(move || store.create_bucket(&name)).await?;
    Ok(CreateBucketOutput {
        location: Some(location),
    })
}

pub(super) async fn delete_bucket(
    api: &Api,
    request: S3Request<DeleteBucketInput>,
) -> S3Result<DeleteBucketOutput> {
    let store = Arc::clone(&api.store);
    blocking(move || store.delete_bucket(&request.input.bucket)).await?;
    Ok(DeleteBucketOutput::default())
}

pub(super) async fn head_bucket(
    api: &Api,
    request: S3Request<HeadBucketInput>,
) -> S3Result<HeadBucketOutput> {
    api.bucket(&request.input.bucket)?;
    // The region goes on every answer, see `service`.
    Ok(HeadBucketOutput::default())
}

pub(super) async fn list_buckets(
    api: &Api,
    request: S3Request<ListBucketsInput>,
) -> S3Result<ListBucketsOutput> {
    let prefix = request.input.prefix;
    let wanted = prefix.as_deref().unwrap_or_default();
    let bucket = |bucket: Arc<store::Bucket>| Bucket {
        name: Some(bucket.name.clone()),
        creation_date: Some(timestamp(bucket.config().created)),
        bucket_region: Some(api.region.clone()),
    };
    let all = api.store.buckets().into_iter();
    let listed = all
        .filter(|bucket| bucket.name.starts_with(wanted))
        .map(bucket);
    Ok(ListBucketsOutput {
        buckets: Some(listed.collect()),
        owner: Some(owner()),
        continuation_token: None,
        prefix,
    })
}

pub(super) async fn get_bucket_location(
    api: &Api,
    request: S3Request<GetBucketLocationInput>,
) -> S3Result<GetBucketLocationOutput> {
    api.bucket(&request.input.bucket)?;
    // The oldest region has an empty constraint.
    let constraint = (api.region != "us-east-1").then(|| api.region.clone());
    Ok(GetBucketLocationOutput {
        location_constraint: constraint.map(BucketLocationConstraint::from),
    })
}

pub(super) async fn get_bucket_versioning(
    api: &Api,
    request: S3Request<GetBucketVersioningInput>,
) -> S3Result<GetBucketVersioningOutput> {
    api.bucket(&request.input.bucket)?;
    Ok(GetBucketVersioningOutput::default())
}

pub(super) async fn get_bucket_cors(
    api: &Api,
    request: S3Request<GetBucketCorsInput>,
) -> S3Result<GetBucketCorsOutput> {
    let config = api.bucket(&request.input.bucket)?.config();
    let rules = config.cors.as_ref().ok_or_else(|| {
        s3_error!(
            NoSuchCORSConfiguration,
            "the bucket has no CORS configuration"
        )
    })?;
    Ok(GetBucketCorsOutput {
        cors_rules: Some(rules.iter().map(cors::Rule::to_dto).collect()),
    })
}

pub(super) async fn put_bucket_cors(
    api: &Api,
    request: S3Request<PutBucketCorsInput>,
) -> S3Result<PutBucketCorsOutput> {
    let bucket = api.bucket(&request.input.bucket)?;
    let rules = request.input.cors_configuration.cors_rules;
    let rules: Vec<_> = rules
        .into_iter()
        .map(cors::Rule::from_dto)
        .collect::<S3Result<_>>()?;
    if rules.is_empty() || rules.len() > 100 {
        return Err(s3_error!(
            MalformedXML,
            "a CORS configuration has 1 to 100 rules"
        ));
    }
    blocking(move || bucket.configure(|config| config.cors = Some(rules))).await?;
    Ok(PutBucketCorsOutput::default())
}

pub(super) async fn delete_bucket_cors(
    api: &Api,
    request: S3Request<DeleteBucketCorsInput>,
) -> S3Result<DeleteBucketCorsOutput> {
    let bucket = api.bucket(&request.input.bucket)?;
    blocking(move || bucket.configure(|config| config.cors = None)).await?;
    Ok(DeleteBucketCorsOutput::default())
}

pub(super) async fn get_bucket_policy(
    api: &Api,
    request: S3Request<GetBucketPolicyInput>,
) -> S3Result<GetBucketPolicyOutput> {
    let config = api.bucket(&request.input.bucket)?.config();
    let policy = config
        .policy
        .clone()
        .ok_or_else(|| s3_error!(NoSuchBucketPolicy, "the bucket has no policy"))?;
    Ok(GetBucketPolicyOutput {
        policy: Some(policy),
    })
}

pub(super) async fn put_bucket_policy(
    api: &Api,
    request: S3Request<PutBucketPolicyInput>,
) -> S3Result<PutBucketPolicyOutput> {
    let bucket = api.bucket(&request.input.bucket)?;
    let policy = request.input.policy;
    policy::check(&policy)?;
    blocking(move || bucket.configure(|config| config.policy = Some(policy))).await?;
    Ok(PutBucketPolicyOutput::default())
}

pub(super) async fn delete_bucket_policy(
    api: &Api,
    request: S3Request<DeleteBucketPolicyInput>,
) -> S3Result<DeleteBucketPolicyOutput> {
    let bucket = api.bucket(&request.input.bucket)?;
    blocking(move || bucket.configure(|config| config.policy = None)).await?;
    Ok(DeleteBucketPolicyOutput::default())
}
