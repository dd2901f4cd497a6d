//! Listings against a model that has all keys in a sorted set.

use std::collections::BTreeSet;

use cidbucket_dev_s3::DevS3;
use proptest::{collection::btree_set, prelude::*, test_runner::TestRunner};

use crate::client::Client;

/// Keys and common prefixes, in order, as one page after the other gives them.
fn model(keys: &BTreeSet<String>, prefix: &str, delimiter: &str, after: &str) -> Vec<String> {
    let mut entries = Vec::new();
    for key in keys {
        let Some(rest) = key.strip_prefix(prefix).filter(|_| key.as_str() > after) else {
            continue;
        };
        let at = Some(rest)
            .filter(|_| !delimiter.is_empty())
            .and_then(|rest| rest.find(delimiter));
        let entry = match at {
            Some(at) => &key[..prefix.len() + at + delimiter.len()],
            None => key,
        };
        if entry != after && entries.last().is_none_or(|last| last != entry) {
            entries.push(entry.to_owned());
        }
    }
    entries
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Api {
    V1,
    V2,
    Versions,
}

async fn listed(
    client: &Client,
    api: Api,
    query: &[(&str, &str)],
    after: &str,
) -> Vec<Vec<String>> {
    let mut pages = Vec::new();
    let mut marker = after.to_owned();
    let mut token: Option<String> = None;
    loop {
        let mut all = query.to_vec();
        match (api, &token) {
            (Api::V1, _) => all.push(("marker", &marker)),
            (Api::Versions, _) => all.extend([("versions", ""), ("key-marker", &marker)]),
            (Api::V2, None) => all.extend([("list-type", "2"), ("start-after", &marker)]),
            (Api::V2, Some(token)) => {
                all.extend([("list-type", "2"), ("continuation-token", token.as_str())]);
            }
        }
        let page = client.send("GET", "/bucket", &all, &[], b"").await.ok();
        let mut entries = page.elements("Key");
        for common in page.elements("CommonPrefixes") {
            let prefix = common.strip_prefix("<Prefix>").unwrap();
            entries.push(prefix.strip_suffix("</Prefix>").unwrap().to_owned());
        }
        entries.sort_unstable();
        let last = entries.last().cloned();
        pages.push(entries);
        if page.elements("IsTruncated") != ["true"] {
            return pages;
        }
        match api {
            Api::V2 => token = Some(page.elements("NextContinuationToken").remove(0)),
            Api::V1 => {
                let next = page.elements("NextMarker").pop();
                marker = next.or(last).unwrap();
            }
            Api::Versions => marker = page.elements("NextKeyMarker").remove(0),
        }
    }
}

#[test]
fn pages_are_what_the_model_says() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let server = runtime.block_on(DevS3::temporary()).unwrap();
    let client = Client::of(&server);
    let key = "[ab/]{1,5}";
    let case = (
        btree_set(key, 0..14),
        "[ab/]{0,2}",
        prop_oneof![Just(""), Just("/"), Just("b"), Just("a/")],
        "[ab/]{0,3}",
        1..6_usize,
        prop_oneof![Just(Api::V1), Just(Api::V2), Just(Api::Versions)],
    );
    let config = ProptestConfig {
        cases: 48,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let result =
        TestRunner::new(config).run(&case, |(keys, prefix, delimiter, after, size, api)| {
            runtime.block_on(async {
                for key in &keys {
                    client.put(&format!("/bucket/{key}"), &[], b"").await.ok();
                }
                let number = size.to_string();
                let query = [
                    ("prefix", prefix.as_str()),
                    ("delimiter", delimiter),
                    ("max-keys", &number),
                ];
                let pages = listed(&client, api, &query, &after).await;
                for key in &keys {
                    client
                        .send("DELETE", &format!("/bucket/{key}"), &[], &[], b"")
                        .await
                        .ok();
                }
                let (last, full) = pages.split_last().unwrap();
                prop_assert!(full.iter().all(|page| page.len() == size) && last.len() <= size);
                prop_assert_eq!(pages.concat(), model(&keys, &prefix, delimiter, &after));
                Ok(())
            })
        });
    result.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_parameters() {
    let server = DevS3::temporary().await.unwrap();
    let client = Client::of(&server);
    for key in ["a b/ü", "c"] {
        client.put(&format!("/bucket/{key}"), &[], b"x").await.ok();
    }
    let list = async |query: &[(&str, &str)]| {
        let mut all = vec![("list-type", "2")];
        all.extend_from_slice(query);
        client.send("GET", "/bucket", &all, &[], b"").await
    };
    let plain = list(&[]).await.ok();
    assert_eq!(plain.elements("Key"), ["a b/ü", "c"]);
    assert_eq!(
        (plain.elements("KeyCount"), plain.elements("ID")),
        (vec!["2".to_owned()], vec![])
    );
    let url = list(&[("encoding-type", "url"), ("fetch-owner", "true")])
        .await
        .ok();
    assert_eq!(url.elements("Key"), ["a%20b/%C3%BC", "c"]);
    assert_eq!(url.elements("EncodingType"), ["url"]);
    assert_eq!(url.elements("ID").len(), 2);
    let none = list(&[("max-keys", "0")]).await.ok();
    assert_eq!(none.elements("IsTruncated"), ["false"]);
    assert_eq!(none.elements("Key"), [""; 0]);
    list(&[("max-keys", "-1")])
        .await
        .refused(400, "InvalidArgument");
    list(&[("continuation-token", "1zz")])
        .await
        .refused(400, "InvalidArgument");
    let versions = client
        .send("GET", "/bucket", &[("versions", "")], &[], b"")
        .await
        .ok();
    assert_eq!(versions.elements("VersionId"), ["null", "null"]);
}
