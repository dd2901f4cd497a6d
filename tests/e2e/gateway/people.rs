//! Files and directories for people, and what keeps them from doing harm.

use cidbucket_blockstore::Cid;
use cidbucket_tests::service::text;
use cidbucket_tests::wire::Response;

use crate::client::Gateway;
use crate::tree::{Tree, chunks};

/// What browsers send.
const BROWSER: (&str, &str) = (
    "accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
);

/// A site of a page, a picture, and a directory without a page.
fn site() -> (Tree, Cid) {
    let profile = chunks(256);
    let mut tree = Tree::default();
    let page = tree.file(&profile, "<!doctype html><script src=\"a.js\"></script>");
    let script = tree.file(&profile, "alert(1)");
    let png = tree.file(&profile, &b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR"[..]);
    let long: Vec<u8> = (0..2000_u32)
        .map(|n| b'a' + u8::try_from(n % 26).unwrap())
        .collect();
    let long = tree.file(&profile, long);
    let odd = tree.directory(
        &profile,
        &[
            ("<b>&\"'.txt", long),
            ("a b", page),
            ("javascript:alert(1)", long),
        ],
    );
    let empty = tree.file(&profile, "");
    let root = tree.directory(
        &profile,
        &[
            ("a.js", script),
            ("empty", empty),
            ("index.html", page),
            ("long.txt", long),
            ("odd", odd),
            ("picture", png),
        ],
    );
    (tree, root.cid)
}

#[test]
fn files_and_directories() {
    let gateway = Gateway::start(&["--gateway-files"]);
    let (tree, root) = site();
    gateway.put(&tree);
    let get = |path: &str| gateway.ask("GET", &format!("/ipfs/{root}{path}"), &[BROWSER]);
    // A directory's links lead into it only with a slash at its end.
    let answer = get("?filename=x");
    assert_eq!(
        (answer.status, answer.header("location")),
        (301, &*format!("/ipfs/{root}/?filename=x"))
    );
    let answer = get("/odd");
    assert_eq!(
        (answer.status, answer.header("location")),
        (301, &*format!("/ipfs/{root}/odd/"))
    );
    // Its page is shown for it.
    let answer = get("/");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/html")
    );
    assert!(answer.body.starts_with(b"<!doctype html><script"));
    assert_sandboxed(&answer);
    for (path, media_type) in [
        ("/a.js", "text/javascript; charset=utf-8"),
        ("/long.txt", "text/plain; charset=utf-8"),
        ("/picture", "image/png"),
        ("/empty", "text/plain; charset=utf-8"),
    ] {
        let answer = get(path);
        assert_eq!(
            (answer.status, answer.header("content-type")),
            (200, media_type),
            "{path}"
        );
        assert_eq!(
            answer.header("content-length"),
            answer.body.len().to_string()
        );
        assert_eq!(
            answer.header("cache-control"),
            "public, max-age=29030400, immutable"
        );
        assert_sandboxed(&answer);
        // HEAD says the same.
        let head = gateway.ask("HEAD", &format!("/ipfs/{root}{path}"), &[BROWSER]);
        for name in [
            "content-type",
            "content-length",
            "etag",
            "content-security-policy",
        ] {
            assert_eq!(head.header(name), answer.header(name), "{path}: {name}");
        }
        let tag = answer.header("etag");
        let again = gateway.ask(
            "GET",
            &format!("/ipfs/{root}{path}"),
            &[BROWSER, ("if-none-match", tag)],
        );
        assert_eq!(again.status, 304);
    }
    assert_eq!(get("/nothing").status, 404);
    let answer = get("/long.txt?filename=my.pdf&download=true");
    assert_eq!(
        answer.header("content-disposition"),
        "attachment; filename=\"my.pdf\""
    );
    assert_eq!(answer.header("content-type"), "application/pdf");
    // Programs have their forms all the same.
    let answer = gateway.ask("GET", &format!("/ipfs/{root}?format=raw"), &[BROWSER]);
    assert_eq!(answer.header("content-type"), "application/vnd.ipld.raw");
}

#[track_caller]
fn assert_sandboxed(answer: &Response) {
    let policy = answer.header("content-security-policy");
    assert!(
        policy.starts_with("sandbox;") && policy.contains("script-src 'none'"),
        "{policy}"
    );
    assert!(!policy.contains("allow-"), "{policy}");
}

#[test]
fn ranges_of_files() {
    let gateway = Gateway::start(&["--gateway-files"]);
    let (tree, root) = site();
    gateway.put(&tree);
    let target = format!("/ipfs/{root}/long.txt");
    let whole = gateway.get(&target).body;
    assert_eq!(whole.len(), 2000);
    for (range, status, expected) in [
        ("bytes=250-260", 206, &whole[250..261]),
        ("bytes=-1", 206, &whole[1999..]),
        ("bytes=0-9999", 206, &whole),
        ("bytes=1-2,5-6", 200, &whole),
        ("bytes=2000-", 416, &[]),
    ] {
        let answer = gateway.ask("GET", &target, &[("range", range)]);
        assert_eq!(answer.status, status, "{range}");
        if status != 416 {
            assert_eq!(answer.body, expected, "{range}");
        }
    }
    let answer = gateway.ask("GET", &target, &[("range", "bytes=250-260")]);
    assert_eq!(answer.header("content-range"), "bytes 250-260/2000");
    assert_eq!(answer.header("content-type"), "text/plain; charset=utf-8");
}

#[test]
fn a_file_that_lacks_a_block_is_cut_off() {
    let gateway = Gateway::start(&["--gateway-files"]);
    let (mut tree, root) = site();
    let long = tree.at(&["long.txt"]);
    let second = tree.links(&long)[1];
    tree.remove(&second);
    gateway.put(&tree);
    let answer = gateway.get(&format!("/ipfs/{root}/long.txt"));
    assert_eq!(
        (answer.status, answer.header("content-length")),
        (200, "2000")
    );
    assert!(!answer.whole && answer.body.len() <= 256);
}

#[test]
fn a_listing_shows_names_as_names() {
    let gateway = Gateway::start(&["--gateway-files"]);
    let (tree, root) = site();
    gateway.put(&tree);
    let answer = gateway.get(&format!("/ipfs/{root}/odd/"));
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/html; charset=utf-8")
    );
    assert!(answer.whole);
    assert_eq!(
        answer.header("cache-control"),
        "public, max-age=604800, stale-while-revalidate=2678400"
    );
    assert!(
        answer
            .header("content-security-policy")
            .starts_with("default-src 'none';")
    );
    let page = String::from_utf8(answer.body.clone()).unwrap();
    assert!(!page.contains("<b>&"), "{page}");
    assert!(page.contains("&lt;b&gt;&amp;&quot;&#39;.txt"));
    assert!(page.contains("href=\"./%3Cb%3E%26%22%27.txt\""));
    assert!(page.contains("href=\"./javascript%3Aalert%281%29\""));
    assert!(page.contains("href=\"../\""));
    let tag = answer.header("etag");
    let again = gateway.ask(
        "GET",
        &format!("/ipfs/{root}/odd/"),
        &[("if-none-match", tag)],
    );
    assert_eq!(again.status, 304);
}

#[test]
fn content_does_not_run_on_the_gateways_origin() {
    let gateway = Gateway::start(&["--gateway-files"]);
    let (tree, root) = site();
    gateway.put(&tree);
    let script = format!("/ipfs/{root}/a.js");
    assert_eq!(gateway.status("GET", &script, &[]), 200);
    // Neither as a script of a page of this origin, nor as a worker of it.
    for dest in [
        "script",
        "worker",
        "sharedworker",
        "serviceworker",
        "manifest",
    ] {
        let answer = gateway.ask("GET", &script, &[("sec-fetch-dest", dest)]);
        assert_eq!(answer.status, 403, "{dest}");
    }
    for path in [script, format!("/ipfs/{root}"), format!("/ipfs/{root}/")] {
        let answer = gateway.ask("GET", &path, &[("service-worker", "script")]);
        assert_eq!(answer.status, 400, "{path}");
    }
}

#[test]
fn without_being_switched_on_there_are_no_files() {
    let gateway = Gateway::start(&[]);
    let (tree, root) = site();
    gateway.put(&tree);
    for path in ["", "/", "/a.js"] {
        let answer = gateway.ask("GET", &format!("/ipfs/{root}{path}"), &[BROWSER]);
        assert_eq!(answer.status, 406, "{}", text(&answer));
    }
}

#[test]
fn each_cid_has_an_origin_of_its_own() {
    let gateway = Gateway::start(&["--gateway-host", "gw.test"]);
    let (tree, root) = site();
    gateway.put(&tree);
    let own = format!("{root}.ipfs.gw.test:8080");
    let get = |host: &str, path: &str| gateway.ask("GET", path, &[BROWSER, ("host", host)]);
    // From the path to the origin.
    let answer = get("gw.test:8080", &format!("/ipfs/{root}/odd/?x=1"));
    assert_eq!(
        (answer.status, answer.header("location")),
        (301, &*format!("//{own}/odd/?x=1"))
    );
    // There, files are as they are.
    let answer = get(&own, "/");
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (200, "text/html")
    );
    assert_eq!(answer.header("content-security-policy"), "");
    let script = gateway.ask(
        "GET",
        "/a.js",
        &[("host", &own), ("sec-fetch-dest", "script")],
    );
    assert_eq!(script.status, 200);
    assert_eq!(get(&own, "/odd").header("location"), "/odd/");
    // No path becomes the name of a host.
    assert_eq!(get(&own, "//odd").header("location"), "/odd/");
    assert_eq!(get("nonsense.ipfs.gw.test", "/").status, 400);
    // What else the service has is not on that origin.
    for path in ["/v1/info", "/metrics", "/healthz"] {
        assert_eq!(get(&own, path).status, 404, "{path}");
    }
    // Programs are not sent about.
    let raw = gateway.ask(
        "GET",
        &format!("/ipfs/{root}?format=raw"),
        &[("host", "gw.test")],
    );
    assert_eq!(raw.status, 200);
    let raw = gateway.ask("GET", "/?format=raw", &[("host", &own)]);
    assert_eq!(&raw.body[..], &tree.data(&root)[..]);
    // What a browser makes of `ipfs://`.
    let answer = get(
        "gw.test",
        &format!("/ipfs/?uri=ipfs%3A%2F%2F{root}%2Fodd%2F%3Fx%3D1"),
    );
    assert_eq!(
        (answer.status, answer.header("location")),
        (301, &*format!("/ipfs/{root}/odd/?x=1"))
    );
    assert_eq!(
        get("gw.test", "/ipfs/?uri=https%3A%2F%2Fevil.test").status,
        400
    );
    // On other hosts the gateway stays what it was.
    assert_eq!(get("elsewhere.test", &format!("/ipfs/{root}/")).status, 406);
}
