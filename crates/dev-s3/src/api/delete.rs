//! `DeleteObject` and `DeleteObjects`.

use s3s::{
    S3Request, S3Result,
    dto::{
        DeleteObjectInput, DeleteObjectOutput, DeleteObjectsInput, DeleteObjectsOutput,
        DeletedObject, ETag, ETagCondition, Error, ObjectIdentifier,
    },
    s3_error,
};

use super::{Api, VERSION, blocking, check_version, condition, failure};
use crate::store::{self, Bucket};

/// Keys in one `DeleteObjects`.
const MOST: usize = 1000;

pub(super) async fn delete_object(
    api: &Api,
    request: S3Request<DeleteObjectInput>,
) -> S3Result<DeleteObjectOutput> {
    let input = request.input;
    check_version(input.version_id.as_deref())?;
    let bucket = api.bucket(&input.bucket)?;
    let condition = condition::of_change(input.if_match.as_ref(), None)?;
    blocking(move || {
        bucket.delete(&input.key, &condition)?;
        bucket.settle()
    })
    .await?;
    Ok(DeleteObjectOutput::default())
}

pub(super) async fn delete_objects(
    api: &Api,
    request: S3Request<DeleteObjectsInput>,
) -> S3Result<DeleteObjectsOutput> {
    let input = request.input;
    let objects = input.delete.objects;
    if objects.is_empty() || objects.len() > MOST {
        return Err(s3_error!(
            MalformedXML,
            "DeleteObjects takes 1 to {MOST} keys"
        ));
    }
    let bucket = api.bucket(&input.bucket)?;
    let quiet = input.delete.quiet.unwrap_or(false);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    blocking(move || {
        for object in objects {
            let key = object.key.clone();
            match delete(&bucket, object) {
                Ok(()) if quiet => {}
                Ok(()) => deleted.push(DeletedObject {
                    key: Some(key),
                    ..DeletedObject::default()
                }),
                Err(error) => errors.push(Error {
                    key: Some(key),
                    ..error
                }),
            }
        }
        bucket.settle()?;
        Ok(DeleteObjectsOutput {
            deleted: Some(deleted),
            errors: Some(errors),
            request_charged: None,
        })
    })
    .await
}

fn delete(bucket: &Bucket, object: ObjectIdentifier) -> Result<(), Error> {
    let failed = |error: s3s::S3Error| Error {
        code: Some(error.code().as_str().to_owned()),
        message: error.message().map(str::to_owned),
        ..Error::default()
    };
    if object.version_id.as_deref().is_some_and(|v| v != VERSION) {
        return check_version(object.version_id.as_deref()).map_err(failed);
    }
    let if_match = object.e_tag.map(|etag: ETag| ETagCondition::ETag(etag));
    let condition = condition::of_change(if_match.as_ref(), None).map_err(failed)?;
    match bucket.delete(&object.key, &condition) {
        Ok(()) | Err(store::Error::NoSuchKey) => Ok(()),
        Err(error) => Err(failed(failure(error))),
    }
}
