//! AWS Signature Version 4 for S3, without I/O: bytes and a time go in, signatures come out.
//!
//! The modules are the steps of the specification ("Authenticating Requests (AWS Signature
//! Version 4)" of the Amazon S3 API reference):
//!
//! 1. `canonical_request`: the request in one agreed form, encoded by `encode`;
//! 2. `string_to_sign`: its hash, with the time and the credential scope;
//! 3. `signing_key`: derived from the secret for one day, region and service, and kept;
//! 4. the signature: in the `Authorization` header by [`Signer::sign`], or in the query of a URL
//!    by [`Signer::presign`]. [`Template`] signs many URLs that differ in their key.
//!
//! ```
//! use cidbucket_sigv4::{Credentials, Payload, Presign, Request, Signer, Timestamp};
//!
//! let credentials = Credentials::new(
//!     "AKIAIOSFODNN7EXAMPLE",
//!     "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
//! );
//! let signer = Signer::new(credentials, "us-east-1")?;
//! let request = Request {
//!     method: "GET",
//!     path: "/test.txt",
//!     query: &[],
//!     headers: &[("host", "examplebucket.s3.amazonaws.com")],
//! };
//! let now = Timestamp::from_unix(1_369_353_600); // 24 May 2013
//!
//! let url = signer.presign(
//!     &request,
//!     &Presign { scheme: "https", payload: Payload::Unsigned, now, expires: 86_400 },
//! )?;
//! assert!(url.ends_with("aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"));
//!
//! for (name, value) in signer.sign(&request, Payload::Empty, now)?.iter() {
//!     println!("{name}: {value}");
//! }
//! # Ok::<(), cidbucket_sigv4::Error>(())
//! ```

mod canonical_request;
mod credentials;
mod encode;
mod error;
mod hmac;
mod laid;
mod presign;
mod sha256;
mod signer;
mod signing_key;
mod string_to_sign;
mod template;
mod timestamp;

pub use canonical_request::{Payload, Request};
pub use credentials::Credentials;
pub use encode::{encode_path, encode_query};
pub use error::{Error, Result};
pub use presign::{MAX_EXPIRES, Presign};
pub use signer::{SignedHeaders, Signer};
pub use template::{Own, Template};
pub use timestamp::Timestamp;
