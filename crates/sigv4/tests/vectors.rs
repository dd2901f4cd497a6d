//! The worked examples of the S3 documentation and AWS's signing test suite: see
//! `vectors/README.md` for where they come from.

use cidbucket_sigv4::{Credentials, Payload, Presign, Request, Signer, Timestamp};
use serde_json::Value;
use sha2::Digest;

/// 24 May 2013 00:00:00 UTC.
const DOCUMENTATION: Timestamp = Timestamp::from_unix(1_369_353_600);
/// 30 August 2015 12:36:00 UTC.
const SUITE: Timestamp = Timestamp::from_unix(1_440_938_160);

fn text(value: &Value) -> &str {
    value.as_str().unwrap()
}

fn pairs(value: &Value) -> Vec<(&str, &str)> {
    let pairs = value.as_array().unwrap().iter();
    pairs.map(|pair| (text(&pair[0]), text(&pair[1]))).collect()
}

fn payload(body: &str) -> Payload {
    if body.is_empty() {
        Payload::Empty
    } else {
        Payload::Sha256(sha2::Sha256::digest(body).into())
    }
}

#[test]
fn examples_of_the_documentation() {
    let signer = Signer::new(
        Credentials::new(
            "AKIAIOSFODNN7EXAMPLE",
            "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
        ),
        "us-east-1",
    )
    .unwrap();
    let cases: Value = serde_json::from_str(include_str!("vectors/s3-documentation.json")).unwrap();
    for case in cases.as_array().unwrap() {
        let mut headers = pairs(&case["headers"]);
        headers.push(("Host", "examplebucket.s3.amazonaws.com"));
        let request = Request {
            method: text(&case["method"]),
            path: text(&case["path"]),
            query: &pairs(&case["query"]),
            headers: &headers,
        };
        let signed = if let Some(expires) = case["expires"].as_u64() {
            let presign = Presign {
                scheme: "https",
                payload: Payload::Unsigned,
                now: DOCUMENTATION,
                expires: expires.try_into().unwrap(),
            };
            let mut template = signer.template(
                &Request {
                    path: "/te",
                    ..request
                },
                &[],
                &presign,
            );
            let url = signer.presign(&request, &presign).unwrap();
            assert_eq!(template.as_mut().unwrap().url("st.txt", &[]).unwrap(), url);
            url
        } else {
            let payload = payload(text(&case["body"]));
            let signed = signer.sign(&request, payload, DOCUMENTATION).unwrap();
            signed.authorization().to_owned()
        };
        assert!(
            signed.ends_with(&format!("Signature={}", text(&case["signature"]))),
            "{}: {signed}",
            text(&case["name"])
        );
    }
    assert_eq!(cases.as_array().unwrap().len(), 5);
}

/// A request of the suite, taken apart as a server would.
struct Parsed<'a> {
    method: &'a str,
    path: String,
    query: Vec<(String, String)>,
    headers: Vec<(&'a str, String)>,
    body: &'a str,
}

fn parse(request: &str) -> Parsed<'_> {
    let (head, body) = request.split_once("\n\n").unwrap_or((request, ""));
    let mut lines = head.lines();
    let (method, rest) = lines.next().unwrap().split_once(' ').unwrap();
    let target = rest.strip_suffix(" HTTP/1.1").unwrap();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let query = query.split('&').filter(|pair| !pair.is_empty());
    let mut headers: Vec<(&str, String)> = Vec::new();
    for line in lines {
        if line.starts_with(' ') {
            // A folded line (RFC 9112, section 5.2): what reads the message unfolds it.
            let value = &mut headers.last_mut().unwrap().1;
            *value = format!("{value} {}", line.trim());
        } else {
            let (name, value) = line.split_once(':').unwrap();
            headers.push((name, value.to_owned()));
        }
    }
    Parsed {
        method,
        path: decode(path),
        query: query
            .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
            .map(|(name, value)| (decode(name), decode(value)))
            .collect(),
        headers,
        body,
    }
}

fn decode(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (hex, after) = rest.split_at(2);
            out.push(u8::from_str_radix(str::from_utf8(hex).unwrap(), 16).unwrap());
            rest = after;
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

#[test]
fn signing_test_suite() {
    let cases: Value =
        serde_json::from_str(include_str!("vectors/aws-signing-test-suite.json")).unwrap();
    let cases = cases.as_object().unwrap();
    for (name, case) in cases {
        let context = &case["context.json"];
        assert_eq!(text(&context["timestamp"]), "2015-08-30T12:36:00Z");
        let credentials = &context["credentials"];
        let mut given = Credentials::new(
            text(&credentials["access_key_id"]),
            text(&credentials["secret_access_key"]),
        );
        if let Some(token) = credentials["token"].as_str()
            && context["omit_session_token"] != true
        {
            given = given.with_session_token(token);
        }
        let signer =
            Signer::for_service(given, text(&context["region"]), text(&context["service"]))
                .unwrap();

        let parsed = parse(text(&case["request.txt"]));
        let query: Vec<_> = parsed.query.iter().map(|(n, v)| (&**n, &**v)).collect();
        let mut headers: Vec<_> = parsed.headers.iter().map(|(n, v)| (*n, &**v)).collect();
        let request = Request {
            method: parsed.method,
            path: &parsed.path,
            query: &query,
            headers: &headers,
        };
        let payload = payload(parsed.body);
        let presign = Presign {
            scheme: "https",
            payload,
            now: SUITE,
            expires: context["expiration_in_seconds"]
                .as_u64()
                .unwrap()
                .try_into()
                .unwrap(),
        };
        let url = signer.presign(&request, &presign).unwrap();
        let signature = text(&case["query-signature.txt"]);
        assert!(
            url.ends_with(&format!("&X-Amz-Signature={signature}")),
            "{name}: {url}\n{}",
            text(&case["query-canonical-request.txt"])
        );
        let canonical_query = text(&case["query-canonical-request.txt"]).lines().nth(2);
        assert!(
            url.contains(&format!("?{}&", canonical_query.unwrap())),
            "{name}: {url}"
        );

        let hash = sha2::Sha256::digest(parsed.body);
        let hash = data_encoding::HEXLOWER.encode(&hash);
        if context["sign_body"] == true {
            headers.push(("x-amz-content-sha256", &hash));
        }
        let request = Request {
            method: parsed.method,
            path: &parsed.path,
            query: &query,
            headers: &headers,
        };
        let signed = signer.sign(&request, payload, SUITE).unwrap();
        let signature = text(&case["header-signature.txt"]);
        assert!(
            signed
                .authorization()
                .ends_with(&format!(", Signature={signature}")),
            "{name}: {}\n{}",
            signed.authorization(),
            text(&case["header-canonical-request.txt"])
        );
    }
    assert_eq!(cases.len(), 32);
}
