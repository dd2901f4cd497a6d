//! What a web page sends with a grant, so that a bucket's CORS rules can allow just that.

use crate::write::{FIXED_HEADERS, varying_headers};
use crate::{Method, Seal};

/// The request headers of grants that a browser asks the bucket for beforehand, in lower case:
/// what [`Grant::headers`](crate::Grant::headers) may hold, but for `content-length`, which a
/// browser sets itself and asks nobody for.
///
/// For `PUT` under `seal`, or under any where it is `None`.
pub fn browser_headers(method: Method, seal: Option<Seal>) -> Vec<&'static str> {
    if method != Method::Put {
        return vec!["range"];
    }
    let mut headers = FIXED_HEADERS.to_vec();
    for of in Seal::ALL {
        if seal.is_some_and(|seal| seal != of) {
            continue;
        }
        headers.extend(varying_headers(of));
        if of == Seal::Header {
            headers.extend(SIGNATURE_HEADERS);
        }
    }
    headers.retain(|name| *name != "content-length");
    headers.sort_unstable();
    headers.dedup();
    headers
}

/// What a signature outside the URL takes.
const SIGNATURE_HEADERS: [&str; 4] = [
    "authorization",
    "x-amz-content-sha256",
    "x-amz-date",
    "x-amz-security-token",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use cidbucket_layout::Keys;

    use super::*;
    use crate::{Bucket, ByteRange, Credentials, Granter, Policy, Read, Timestamp, Upload};

    fn granter(seal: Option<Seal>) -> Granter {
        Granter::new(
            Bucket::aws("blocks", "eu-west-1").unwrap(),
            Keys::new("ipfs".parse().unwrap(), "kubo".parse().unwrap()),
            Credentials::new("AKIAIOSFODNN7EXAMPLE", "secret").with_session_token("token"),
            Policy {
                seal,
                if_none_match: true,
                octet_stream: true,
                cache_control: Some("immutable".into()),
                ..Policy::default()
            },
        )
        .unwrap()
    }

    #[test]
    fn they_are_those_of_the_grants_and_no_others() {
        let cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
            .parse()
            .unwrap();
        let now = Timestamp::from_unix(1_369_353_600);
        let mut all = BTreeSet::new();
        for seal in Seal::ALL {
            let upload = Upload {
                md5: Some([0; 16]),
                ..Upload::new(cid, 11)
            };
            let grant = granter(Some(seal)).write(&upload, 300, now).unwrap();
            let mut names: Vec<_> = grant.headers.iter().map(|(name, _)| &**name).collect();
            names.sort_unstable();
            let length = names.iter().position(|name| *name == "content-length");
            names.remove(length.unwrap());
            let allowed = browser_headers(Method::Put, Some(seal));
            assert_eq!(names, allowed, "{seal}");
            all.extend(allowed);
        }
        assert!(all.into_iter().eq(browser_headers(Method::Put, None)));
        let read = Read {
            range: Some(ByteRange {
                first: 0,
                last: None,
            }),
            ..Read::default()
        };
        let grant = granter(None).read(&cid, &read, 300, now).unwrap();
        let names: Vec<_> = grant.headers.iter().map(|(name, _)| &**name).collect();
        assert_eq!(names, browser_headers(Method::Get, None));
    }
}
