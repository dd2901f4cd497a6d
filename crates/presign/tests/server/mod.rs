//! What an S3 server does with a signed request, written from the specification with nothing of
//! the crates under test, so that a mistake in them is not made twice.

use cidbucket_presign::Grant;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

pub(crate) const ACCESS_KEY: &str = "AKIAIOSFODNN7EXAMPLE";
pub(crate) const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// A request as it comes over the wire.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
}

impl From<&Grant> for Received {
    fn from(grant: &Grant) -> Self {
        Self {
            method: grant.method.to_string(),
            url: grant.url.clone(),
            headers: grant.headers.clone(),
        }
    }
}

/// Checks a request as S3 would at `now` (seconds since 1970). `Err` says why it is refused.
pub(crate) fn accepts(request: &Received, now: u64) -> Result<(), &'static str> {
    let (_, rest) = request.url.split_once("://").ok_or("no scheme")?;
    let (host, target) = rest.split_at(rest.find('/').ok_or("no path")?);
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let mut headers = request.headers.clone();
    headers.push(("host".into(), host.into()));
    let header = |name: &str| {
        let mut all = headers
            .iter()
            .filter(|(own, _)| own.eq_ignore_ascii_case(name));
        all.next().map(|(_, value)| value.as_str())
    };

    let mut parameters: Vec<(&str, &str)> = query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| pair.split_once('=').unwrap_or((pair, "")))
        .collect();
    parameters.sort_unstable();
    let parameter = |name: &str| {
        let found = parameters.iter().find(|(own, _)| *own == name);
        found.map(|(_, value)| decode(value))
    };

    let (credential, signed, signature, date);
    if let Some(text) = header("authorization") {
        let text = text.strip_prefix("AWS4-HMAC-SHA256 ").ok_or("algorithm")?;
        let field = |name: &str| {
            let mut fields = text.split(", ").filter_map(|field| field.split_once('='));
            fields
                .find(|(own, _)| *own == name)
                .map(|(_, value)| value.to_owned())
        };
        credential = field("Credential").ok_or("no credential")?;
        signed = field("SignedHeaders").ok_or("no signed headers")?;
        signature = field("Signature").ok_or("no signature")?;
        date = header("x-amz-date").ok_or("no date")?.to_owned();
        if seconds(&date).ok_or("no date")?.abs_diff(now) > 900 {
            return Err("skewed");
        }
    } else {
        if parameter("X-Amz-Algorithm").as_deref() != Some("AWS4-HMAC-SHA256") {
            return Err("algorithm");
        }
        credential = parameter("X-Amz-Credential").ok_or("no credential")?;
        signed = parameter("X-Amz-SignedHeaders").ok_or("no signed headers")?;
        signature = parameter("X-Amz-Signature").ok_or("no signature")?;
        date = parameter("X-Amz-Date").ok_or("no date")?;
        let expires = parameter("X-Amz-Expires").and_then(|text| text.parse().ok());
        let expires: u64 = expires.ok_or("no expiry")?;
        if expires > 604_800 || now > seconds(&date).ok_or("no date")? + expires {
            return Err("expired");
        }
    }
    let mut scope = credential.split('/');
    if scope.next() != Some(ACCESS_KEY) {
        return Err("unknown access key");
    }
    let scope: Vec<&str> = scope.collect();
    let [day, _, "s3", "aws4_request"] = scope[..] else {
        return Err("scope");
    };
    if !date.starts_with(day) {
        return Err("day");
    }

    let signed_names: Vec<&str> = signed.split(';').collect();
    for (name, _) in &headers {
        if (name.starts_with("x-amz-") || name == "host") && !signed_names.contains(&&**name) {
            return Err("a header is not signed");
        }
    }
    let mut lines = String::new();
    for name in &signed_names {
        let value = header(name).ok_or("a signed header is missing")?;
        let words: Vec<&str> = value.split(' ').filter(|word| !word.is_empty()).collect();
        let value = words.join(" ");
        lines.extend([name, ":", &value, "\n"]);
    }
    let query: Vec<String> = parameters
        .iter()
        .filter(|(name, _)| *name != "X-Amz-Signature")
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let canonical = format!(
        "{}\n{}\n{}\n{lines}\n{signed}\n{}",
        request.method,
        encode(&decode(path)),
        query.join("&"),
        header("x-amz-content-sha256").unwrap_or("UNSIGNED-PAYLOAD"),
    );
    if sign(&canonical, &date, &scope) == signature {
        Ok(())
    } else {
        Err("the signature does not match")
    }
}

fn sign(canonical: &str, date: &str, scope: &[&str]) -> String {
    let to_sign = format!(
        "AWS4-HMAC-SHA256\n{date}\n{}\n{}",
        scope.join("/"),
        hex(&Sha256::digest(canonical))
    );
    let mut key = format!("AWS4{SECRET}").into_bytes();
    for part in scope {
        key = hmac(&key, part);
    }
    hex(&hmac(&key, &to_sign))
}

fn hmac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(bytes)
}

/// Seconds since 1970, counted day by day.
fn seconds(date: &str) -> Option<u64> {
    if date.len() != 16 || !date.is_ascii() {
        return None;
    }
    let number = |from: usize, to: usize| date[from..to].parse::<u64>().unwrap();
    let leap = |year: u64| {
        (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400)
    };
    let (year, month) = (number(0, 4), number(4, 6));
    let mut days: u64 = (1970..year).map(|year| 365 + u64::from(leap(year))).sum();
    let february = 28 + u64::from(leap(year));
    let lengths = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    days += lengths
        .iter()
        .take(usize::try_from(month - 1).unwrap())
        .sum::<u64>();
    days += number(6, 8) - 1;
    Some(((days * 24 + number(9, 11)) * 60 + number(11, 13)) * 60 + number(13, 15))
}

fn decode(text: &str) -> String {
    let mut bytes = text.bytes();
    let mut out = Vec::new();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next().unwrap()).to_digit(16).unwrap();
            out.push(u8::try_from(digit() * 16 + digit()).unwrap());
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).unwrap()
}

fn encode(path: &str) -> String {
    let mut out = String::new();
    for byte in path.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push('%');
            data_encoding::HEXUPPER.encode_append(&[byte], &mut out);
        }
    }
    out
}
