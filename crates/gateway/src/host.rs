//! The subdomain gateway: content on an origin of its own, `{cid}.ipfs.{host}`. Pure.

use cid::Version;
use cid::multibase::Base;
use cidbucket_blockstore::codec::DAG_PB;
use http::{HeaderMap, Uri, header};
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::content_path::{ContentPath, parse_cid};
use crate::{Cid, Refusal};

/// Longest label of a name (RFC 1034 §3.1), in bytes.
const MAX_LABEL: usize = 63;

/// What a request's host is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Host {
    /// The origin of one CID.
    Content(Result<Cid, Refusal>),
    /// The gateway's own name, with its port: paths are sent on to the origins of their CIDs.
    Gateway { authority: String },
    /// Another.
    Other,
}

/// Host and port that a request names; empty where it names none.
pub(crate) fn name<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> &'a str {
    let of_uri = uri.authority().map(http::uri::Authority::as_str);
    let of_header = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    of_uri.or(of_header).unwrap_or_default()
}

/// What the host `name` is where the gateway is `own`.
pub(crate) fn of(name: &str, own: &str) -> Host {
    let (host, _) = split_port(name);
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    if host.eq_ignore_ascii_case(own) {
        return Host::Gateway {
            authority: name.to_ascii_lowercase(),
        };
    }
    let own = own.to_ascii_lowercase();
    let label = host
        .strip_suffix(own.as_str())
        .and_then(|rest| rest.strip_suffix(".ipfs."));
    match label {
        // The label is in lower case: a CID in another base than base32 or base36 names another, or
        // none.
        Some(label) if !label.contains('.') => Host::Content(parse_cid(label)),
        _ => Host::Other,
    }
}

/// The URL of a path at the origin of its CID, on the host `authority`. The scheme is that of the
/// request (RFC 3986 §4.2).
pub(crate) fn location(
    path: &ContentPath,
    authority: &str,
    query: Option<&str>,
) -> Result<String, Refusal> {
    let (host, port) = split_port(authority);
    let label = label(&path.root)?;
    let slash = if path.slash && !path.segments.is_empty() {
        "/"
    } else {
        ""
    };
    let mut url = format!("//{label}.ipfs.{host}{port}/{}{slash}", path.below());
    if let Some(query) = query {
        url.push('?');
        // As it was sent, but in ASCII, which a request need not keep to and a header must.
        url.extend(utf8_percent_encode(query, CONTROLS));
    }
    Ok(url)
}

/// A CID as the label of a name (subdomain-gateway, "DNS label limits").
fn label(cid: &Cid) -> Result<String, Refusal> {
    let cid = match cid.version() {
        Version::V0 => Cid::new_v1(DAG_PB, *cid.hash()),
        Version::V1 => *cid,
    };
    [Base::Base32Lower, Base::Base36Lower]
        .into_iter()
        .filter_map(|base| cid.to_string_of_base(base).ok())
        .find(|text| text.len() <= MAX_LABEL)
        .ok_or_else(|| {
            Refusal::bad("the CID is too long for the name of a host; ask for ?format=raw or car")
        })
}

/// Host, and port with its colon.
fn split_port(authority: &str) -> (&str, &str) {
    match authority.rsplit_once(':') {
        Some((host, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
            (host, &authority[host.len()..])
        }
        _ => (authority, ""),
    }
}

#[cfg(test)]
mod tests {
    use cidbucket_blockstore::Hash;

    use super::*;

    const CID: &str = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku";

    #[test]
    fn hosts() {
        let own = |name: &str| of(&name.replace("CID", CID), "gw.example");
        let cid = CID.parse().unwrap();
        for name in [
            "CID.ipfs.gw.example",
            "CID.ipfs.GW.example:8443",
            "CID.ipfs.gw.example.",
        ] {
            assert_eq!(own(name), Host::Content(Ok(cid)), "{name}");
        }
        assert!(matches!(own("x.ipfs.gw.example"), Host::Content(Err(_))));
        for (name, authority) in [
            ("gw.example", "gw.example"),
            ("GW.example:80", "gw.example:80"),
        ] {
            let authority = authority.to_owned();
            assert_eq!(own(name), Host::Gateway { authority });
        }
        for name in [
            "",
            "CID.gw.example",
            "CID.ipfs.example",
            "a.CID.ipfs.gw.example",
            "ipfs.gw.example",
            "CID.ipfs.evilgw.example",
            "[::1]:80",
        ] {
            assert_eq!(own(name), Host::Other, "{name}");
        }
    }

    #[test]
    fn locations() {
        let location = |path: &str, query| {
            location(&ContentPath::parse(path).unwrap(), "gw.example:8080", query)
        };
        assert_eq!(
            location(&format!("{CID}/a%20b/"), Some("x=y")).unwrap(),
            format!("//{CID}.ipfs.gw.example:8080/a%20b/?x=y")
        );
        assert_eq!(
            location(CID, Some("x=%20+ä")).unwrap(),
            format!("//{CID}.ipfs.gw.example:8080/?x=%20+%C3%A4")
        );
        assert_eq!(
            location("QmbWqxBEKC3P8tqsKc98xmWNzrzDtRLMiMPL8wBuTGsMnR", None).unwrap(),
            "//bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi.ipfs.gw.example:8080/"
        );
        let long = Cid::new_v1(0x55, Hash::Sha2_512.digest(b"x").unwrap());
        assert!(location(&long.to_string(), None).is_err());
    }
}
