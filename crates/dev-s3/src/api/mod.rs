//! The S3 operations: `s3s` has parsed and authenticated the request, here it is carried out.
//!
//! One file per group of operations. What is not here, `s3s` answers with `NotImplemented`.

mod bucket;
mod condition;
mod copy;
mod delete;
mod get;
mod list;
mod multipart;
mod put;
mod receive;

use std::sync::Arc;

use s3s::{
    S3, S3Error, S3ErrorCode, S3Request, S3Response, S3Result,
    dto::{
        AbortMultipartUploadInput, AbortMultipartUploadOutput, CompleteMultipartUploadInput,
        CompleteMultipartUploadOutput, CopyObjectInput, CopyObjectOutput, CreateBucketInput,
        CreateBucketOutput, CreateMultipartUploadInput, CreateMultipartUploadOutput,
        DeleteBucketCorsInput, DeleteBucketCorsOutput, DeleteBucketInput, DeleteBucketOutput,
        DeleteBucketPolicyInput, DeleteBucketPolicyOutput, DeleteObjectInput, DeleteObjectOutput,
        DeleteObjectsInput, DeleteObjectsOutput, ETag, GetBucketCorsInput, GetBucketCorsOutput,
        GetBucketLocationInput, GetBucketLocationOutput, GetBucketPolicyInput,
        GetBucketPolicyOutput, GetBucketVersioningInput, GetBucketVersioningOutput, GetObjectInput,
        GetObjectOutput, HeadBucketInput, HeadBucketOutput, HeadObjectInput, HeadObjectOutput,
        ListBucketsInput, ListBucketsOutput, ListMultipartUploadsInput, ListMultipartUploadsOutput,
        ListObjectVersionsInput, ListObjectVersionsOutput, ListObjectsInput, ListObjectsOutput,
        ListObjectsV2Input, ListObjectsV2Output, ListPartsInput, ListPartsOutput, Owner,
        PostObjectInput, PostObjectOutput, PutBucketCorsInput, PutBucketCorsOutput,
        PutBucketPolicyInput, PutBucketPolicyOutput, PutObjectInput, PutObjectOutput, Timestamp,
        UploadPartCopyInput, UploadPartCopyOutput, UploadPartInput, UploadPartOutput,
    },
    s3_error,
};

use crate::{
    clock,
    store::{self, Bucket, Store},
};

/// The S3 interface over a [`Store`].
#[derive(Debug)]
pub(crate) struct Api {
    pub(crate) store: Arc<Store>,
    pub(crate) region: String,
}

impl Api {
    fn bucket(&self, name: &str) -> S3Result<Arc<Bucket>> {
        self.store.bucket(name).map_err(failure)
    }
}

/// Runs work on the disk where it may block.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> store::Result<T> + Send + 'static,
) -> S3Result<T> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result.map_err(failure),
        Err(e) => Err(S3Error::internal_error(e)),
    }
}

/// The S3 error that says what the store's error means.
#[expect(clippy::needless_pass_by_value)] // goes into `map_err`
fn failure(error: store::Error) -> S3Error {
    let code = match &error {
        store::Error::NoSuchBucket => S3ErrorCode::NoSuchBucket,
        store::Error::NoSuchKey => S3ErrorCode::NoSuchKey,
        store::Error::NoSuchUpload => S3ErrorCode::NoSuchUpload,
        store::Error::InvalidPart => S3ErrorCode::InvalidPart,
        store::Error::BucketExists => S3ErrorCode::BucketAlreadyOwnedByYou,
        store::Error::BucketNotEmpty => S3ErrorCode::BucketNotEmpty,
        store::Error::PreconditionFailed => S3ErrorCode::PreconditionFailed,
        // The client is the developer at this machine: tell them what the disk says.
        store::Error::Io { source, .. } => {
            let message = format!("{error}: {source}");
            return S3Error::with_message(S3ErrorCode::InternalError, message);
        }
    };
    S3Error::with_message(code, error.to_string())
}

/// The one version every object has, as the buckets know no versioning.
const VERSION: &str = "null";

fn check_version(version: Option<&str>) -> S3Result<()> {
    match version {
        None | Some(VERSION) => Ok(()),
        Some(_) => Err(s3_error!(NoSuchVersion, "the buckets know no versions")),
    }
}

fn timestamp(millis: u64) -> Timestamp {
    clock::system_time(millis).into()
}

fn etag(etag: &str) -> ETag {
    ETag::Strong(etag.to_owned())
}

fn length(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn owner() -> Owner {
    Owner {
        display_name: Some("dev".to_owned()),
        id: Some("dev".to_owned()),
    }
}

macro_rules! operations {
    ($($name:ident: $input:ident -> $output:ident in $room:ident;)*) => {
        #[async_trait::async_trait]
        impl S3 for Api {
            $(async fn $name(&self, request: S3Request<$input>) -> S3Result<S3Response<$output>> {
                $room::$name(self, request).await.map(S3Response::new)
            })*

            async fn post_object(
                &self,
                _: S3Request<PostObjectInput>,
            ) -> S3Result<S3Response<PostObjectOutput>> {
                Err(s3_error!(NotImplemented, "form uploads are not supported, use PutObject"))
            }
        }
    };
}

operations! {
    abort_multipart_upload: AbortMultipartUploadInput -> AbortMultipartUploadOutput in multipart;
    complete_multipart_upload: CompleteMultipartUploadInput -> CompleteMultipartUploadOutput in multipart;
    copy_object: CopyObjectInput -> CopyObjectOutput in copy;
    create_bucket: CreateBucketInput -> CreateBucketOutput in bucket;
    create_multipart_upload: CreateMultipartUploadInput -> CreateMultipartUploadOutput in multipart;
    delete_bucket: DeleteBucketInput -> DeleteBucketOutput in bucket;
    delete_bucket_cors: DeleteBucketCorsInput -> DeleteBucketCorsOutput in bucket;
    delete_bucket_policy: DeleteBucketPolicyInput -> DeleteBucketPolicyOutput in bucket;
    delete_object: DeleteObjectInput -> DeleteObjectOutput in delete;
    delete_objects: DeleteObjectsInput -> DeleteObjectsOutput in delete;
    get_bucket_cors: GetBucketCorsInput -> GetBucketCorsOutput in bucket;
    get_bucket_location: GetBucketLocationInput -> GetBucketLocationOutput in bucket;
    get_bucket_policy: GetBucketPolicyInput -> GetBucketPolicyOutput in bucket;
    get_bucket_versioning: GetBucketVersioningInput -> GetBucketVersioningOutput in bucket;
    get_object: GetObjectInput -> GetObjectOutput in get;
    head_bucket: HeadBucketInput -> HeadBucketOutput in bucket;
    head_object: HeadObjectInput -> HeadObjectOutput in get;
    list_buckets: ListBucketsInput -> ListBucketsOutput in bucket;
    list_multipart_uploads: ListMultipartUploadsInput -> ListMultipartUploadsOutput in multipart;
    list_object_versions: ListObjectVersionsInput -> ListObjectVersionsOutput in list;
    list_objects: ListObjectsInput -> ListObjectsOutput in list;
    list_objects_v2: ListObjectsV2Input -> ListObjectsV2Output in list;
    list_parts: ListPartsInput -> ListPartsOutput in multipart;
    put_bucket_cors: PutBucketCorsInput -> PutBucketCorsOutput in bucket;
    put_bucket_policy: PutBucketPolicyInput -> PutBucketPolicyOutput in bucket;
    put_object: PutObjectInput -> PutObjectOutput in put;
    upload_part: UploadPartInput -> UploadPartOutput in multipart;
    upload_part_copy: UploadPartCopyInput -> UploadPartCopyOutput in multipart;
}
