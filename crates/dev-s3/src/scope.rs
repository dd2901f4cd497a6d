//! The credential scope of a signature, and the life of a signed URL.
//!
//! `s3s` takes any region, signatures for STS, and URLs that live longer than a week; AWS does not.
//! <https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html>

use http::{Request, header};

use crate::target::parameter;

/// Seconds a signed URL may live: 7 days.
const LONGEST: u32 = 604_800;

/// Why a signature cannot be for this server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

/// Checks what a signature says of itself, before it is verified. Anonymous requests pass.
pub(crate) fn check<B>(request: &Request<B>, region: &str) -> Result<(), Refusal> {
    let query = request.uri().query().unwrap_or_default();
    let authorization = request.headers().get(header::AUTHORIZATION);
    let (credential, code) = match authorization.and_then(|value| value.to_str().ok()) {
        Some(authorization) => {
            let credential = authorization.split_once("Credential=");
            let credential = credential.and_then(|(_, rest)| rest.split([',', ' ']).next());
            (
                credential.map(str::to_owned),
                "AuthorizationHeaderMalformed",
            )
        }
        None => (
            parameter(query, "X-Amz-Credential"),
            "AuthorizationQueryParametersError",
        ),
    };
    let Some(credential) = credential else {
        return Ok(()); // anonymous, or malformed as `s3s` will find
    };
    let refuse = |message| Err(Refusal { code, message });
    // KEY/DATE/REGION/SERVICE/aws4_request, and the key may hold a slash.
    let mut scope = credential.rsplit('/').skip(1);
    let (service, signed_for) = (scope.next(), scope.next());
    if service != Some("s3") {
        return refuse("the service of the credential scope must be 's3'".to_owned());
    }
    if signed_for != Some(region) {
        let wrong = signed_for.unwrap_or_default();
        return refuse(format!(
            "the region '{wrong}' is wrong; expecting '{region}'"
        ));
    }
    if let Some(expires) = parameter(query, "X-Amz-Expires") {
        let expires: Option<u32> = expires.parse().ok();
        if !expires.is_some_and(|seconds| (1..=LONGEST).contains(&seconds)) {
            return refuse(format!("X-Amz-Expires must be 1 to {LONGEST} seconds"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(uri: &str, authorization: Option<&str>) -> Option<&'static str> {
        let mut request = Request::builder().uri(uri);
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let checked = check(&request.body(()).unwrap(), "r-1");
        checked.err().map(|refusal| refusal.code)
    }

    #[test]
    fn region_service_and_life() {
        let header = |scope: &str| {
            let value = format!(
                "AWS4-HMAC-SHA256 Credential=A/K/20260101/{scope}/aws4_request,SignedHeaders=host"
            );
            code("/b", Some(&value))
        };
        assert_eq!(header("r-1/s3"), None);
        assert_eq!(header("r-2/s3"), Some("AuthorizationHeaderMalformed"));
        assert_eq!(header("r-1/sts"), Some("AuthorizationHeaderMalformed"));
        let url = |expires: &str| {
            let credential = "K%2F20260101%2Fr-1%2Fs3%2Faws4_request";
            let uri = format!("/b?X-Amz-Credential={credential}&X-Amz-Expires={expires}");
            code(&uri, None)
        };
        assert_eq!(url("604800"), None);
        for expires in ["604801", "0", "-1", "x"] {
            assert_eq!(url(expires), Some("AuthorizationQueryParametersError"));
        }
        assert_eq!(code("/b/k?list-type=2", None), None);
    }
}
