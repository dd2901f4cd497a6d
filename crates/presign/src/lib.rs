//! Grants: signed URLs that let a client read or write one block at S3 itself
