//! `doctor --fix-cors` and `doctor --fix-public-read`: what they open is open, and nothing else.
//! The settings are the whole bucket's, so each has one test.

use cidbucket_tests::{Curl, Target};
use serde_json::{Value, json};

fn verdicts(outcome: &Value) -> Vec<(String, String)> {
    let checks = outcome["checks"].as_array().expect("checks");
    let text = |value: &Value| value.as_str().expect("text").to_owned();
    checks
        .iter()
        .map(|check| (text(&check["id"]), text(&check["verdict"])))
        .collect()
}

#[test]
fn web_pages_of_one_origin_are_let_in() {
    let target = Target::new();
    let cidbucket = target.cidbucket();
    // No other run had this origin.
    let origin = format!("https://{}.example", target.prefix.replace('/', "-"));
    let fix = ["doctor", "--json", "--fix-cors", "--origin", &origin];
    let shown = cidbucket.run(fix).failed_with(8).json();
    assert_eq!(shown["applied"], false, "{shown:#}");
    assert_eq!(
        shown["after"]["AllowedOrigins"],
        json!([origin]),
        "{shown:#}"
    );

    let set = cidbucket.run(fix.into_iter().chain(["--yes"])).ok().json();
    assert_eq!(set["applied"], true, "{set:#}");
    assert_eq!(
        verdicts(&set),
        [("cors", "ok"), ("cors-answers", "ok")].map(|(id, verdict)| (id.into(), verdict.into())),
        "{set:#}"
    );
    let again = cidbucket.run(fix).ok().json();
    assert_eq!(again["change"], "none", "{again:#}");

    // curl as the browser: a page of another origin gets no leave.
    let preflight = |origin: &str| {
        Curl::grant(&json!({
            "method": "OPTIONS",
            "url": format!("{}/{}/{}/k", target.endpoint, target.bucket, target.prefix),
            "headers": {
                "origin": origin,
                "access-control-request-method": "PUT",
                "access-control-request-headers": "content-type,x-amz-checksum-sha256",
            },
        }))
        .send()
        .0
    };
    assert_eq!(preflight(&origin), 200);
    assert_ne!(preflight("https://evil.example"), 200);
}

#[test]
fn strangers_read_blocks_and_nothing_else() {
    let target = Target::new();
    let cidbucket = target.cidbucket();
    let cid = cidbucket.run_with(["put"], b"for everybody").ok();
    let cid = cid.text().trim();
    target.put_object(
        &format!("{}/.cidbucket/leases/l", target.prefix),
        b"a lease",
    );
    target.put_object(&format!("{}-sibling/secret", target.prefix), b"not ours");

    let anonymous = |path: &str| {
        Curl::grant(&json!({
            "method": "GET",
            "url": format!("{}/{}{path}", target.endpoint, target.bucket),
            "headers": {},
        }))
        .send()
    };
    let signed = cidbucket.run(["presign", "get", cid]).ok();
    let block = signed.text().trim().split('?').next().expect("a URL");
    let block = block
        .strip_prefix(&format!("{}/{}", target.endpoint, target.bucket))
        .expect("path style");
    assert_eq!(anonymous(block).0, 403);

    let fix = ["doctor", "--json", "--fix-public-read"];
    let shown = cidbucket.run(fix).failed_with(8).json();
    assert_eq!(shown["change"], "add", "{shown:#}");
    assert_eq!(anonymous(block).0, 403, "nothing was set yet");
    let set = cidbucket.run(fix.into_iter().chain(["--yes"])).ok().json();
    for (id, verdict) in verdicts(&set) {
        assert_eq!(verdict, "ok", "{id}: {set:#}");
    }
    let again = cidbucket.run(fix).ok().json();
    assert_eq!(again["change"], "none", "{again:#}");

    assert_eq!(anonymous(block), (200, b"for everybody".to_vec()));
    for path in [
        format!("/{}/.cidbucket/leases/l", target.prefix),
        format!("/{}-sibling/secret", target.prefix),
        format!("?list-type=2&prefix={}/", target.prefix),
        String::new(),
    ] {
        assert_eq!(anonymous(&path).0, 403, "{path}");
    }
    let report = cidbucket.run(["doctor", "--json"]).ok().json();
    let checks = report["checks"].as_array().expect("checks");
    let read = checks.iter().find(|check| check["id"] == "anonymous-read");
    let finding = read.and_then(|check| check["finding"].as_str());
    assert!(
        finding.is_some_and(|it| it.starts_with("public")),
        "{report:#}"
    );
}
