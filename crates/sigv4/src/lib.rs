//! AWS Signature Version 4 for S3, without I/O
