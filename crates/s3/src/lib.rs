//! An S3 client and the block store on it
