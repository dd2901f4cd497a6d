//! An embedded S3 server for development and tests
