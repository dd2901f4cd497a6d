//! Where the bucket is: its host and its region.

use std::sync::Arc;

use cidbucket_blockstore::{Error, Report, Result};
use cidbucket_presign::Bucket;
use http::{HeaderValue, Uri};

use crate::transport::{HttpClient, Origin};

/// A bucket with the connections to it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) bucket: Bucket,
    pub(crate) origin: Arc<Origin>,
    host: HeaderValue,
}

impl Place {
    pub(crate) fn new(bucket: Bucket, http: &HttpClient) -> Result<Self> {
        let invalid = |message: String| Error::Invalid(Report::new("open bucket", message).into());
        let uri: Uri = format!("{}://{}/", bucket.scheme(), bucket.host())
            .parse()
            .map_err(|_| invalid(format!("{} is not a valid host", bucket.host())))?;
        let origin = http
            .origin(&uri)
            .map_err(|error| invalid(error.to_string()))?;
        let host = HeaderValue::from_str(bucket.host())
            .map_err(|_| invalid(format!("{} is not a valid host", bucket.host())))?;
        Ok(Self {
            bucket,
            origin,
            host,
        })
    }

    pub(crate) fn host(&self) -> &str {
        self.bucket.host()
    }

    pub(crate) fn host_value(&self) -> HeaderValue {
        self.host.clone()
    }

    /// The same bucket in `region`, or `None` where that cannot be one.
    ///
    /// Credentials never leave the configured host family: at AWS the host follows the region and
    /// stays under the same domain, anywhere else it stays what it is. The host that an answer
    /// names is not even looked at.
    pub(crate) fn in_region(&self, region: &str, http: &HttpClient) -> Option<Self> {
        let sane = (1..=40).contains(&region.len())
            && region
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        if !sane {
            return None;
        }
        let old = &self.bucket;
        let endpoint = regional(&old.endpoint(), old.region(), region);
        let bucket = Bucket::new(&endpoint, old.name(), region, old.style()).ok()?;
        Self::new(bucket, http).ok()
    }
}

/// The endpoint of AWS in another region; any other endpoint as it is.
fn regional(endpoint: &str, from: &str, to: &str) -> String {
    for domain in [".amazonaws.com", ".amazonaws.com.cn"] {
        let Some(host) = endpoint.strip_suffix(domain) else {
            continue;
        };
        if let Some(service) = host.strip_suffix(from).and_then(|h| h.strip_suffix('.')) {
            return format!("{service}.{to}{domain}");
        }
        if host == "https://s3" || host == "http://s3" {
            return format!("{host}.{to}{domain}");
        }
    }
    endpoint.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_region_of_an_aws_host_changes() {
        for (endpoint, expected) in [
            (
                "https://s3.amazonaws.com",
                "https://s3.eu-west-1.amazonaws.com",
            ),
            (
                "https://s3.us-east-1.amazonaws.com",
                "https://s3.eu-west-1.amazonaws.com",
            ),
            (
                "https://s3.dualstack.us-east-1.amazonaws.com",
                "https://s3.dualstack.eu-west-1.amazonaws.com",
            ),
            (
                "https://s3.us-east-1.amazonaws.com.cn",
                "https://s3.eu-west-1.amazonaws.com.cn",
            ),
            (
                "https://s3.us-east-1.example.com",
                "https://s3.us-east-1.example.com",
            ),
            (
                "https://us-east-1.amazonaws.com.example",
                "https://us-east-1.amazonaws.com.example",
            ),
            ("http://127.0.0.1:9000", "http://127.0.0.1:9000"),
        ] {
            assert_eq!(regional(endpoint, "us-east-1", "eu-west-1"), expected);
        }
    }
}
