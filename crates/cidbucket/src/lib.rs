//! IPFS blocks in an S3 bucket: the facade for node implementers
