//! Grants as a server sees them: accepted as they are, refused with any part of them changed.

mod server;

use cidbucket_layout::{Keys, Layout, Prefix};
use cidbucket_presign::{
    Bucket, ByteRange, Credentials, Error, Grant, Granter, Policy, Read, Seal, Style, Timestamp,
    Upload,
};
use server::{ACCESS_KEY, Received, SECRET, accepts};

/// 24 May 2013 00:00:00 UTC.
const NOW: u64 = 1_369_353_600;
const CID: &str = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy";
const MIB: u64 = 1 << 20;

fn now() -> Timestamp {
    Timestamp::from_unix(NOW)
}

fn credentials() -> Credentials {
    Credentials::new(ACCESS_KEY, SECRET)
}

fn policy(seal: Seal) -> Policy {
    Policy {
        seal: Some(seal),
        ..Policy::default()
    }
}

fn keys() -> Keys {
    Keys::new(Prefix::new("ipfs blocks/ü").unwrap(), Layout::Flatfs)
}

fn buckets() -> [Bucket; 3] {
    [
        Bucket::new("http://127.0.0.1:9000/s3", "b", "garage", Style::Path).unwrap(),
        Bucket::new("https://s3.example", "b", "us-east-1", Style::Virtual).unwrap(),
        Bucket::aws("blocks", "eu-west-1").unwrap(),
    ]
}

fn granter(policy: Policy) -> Granter {
    let [bucket, ..] = buckets();
    Granter::new(bucket, keys(), credentials(), policy).unwrap()
}

fn upload() -> Upload {
    Upload {
        md5: Some([7; 16]),
        ..Upload::new(CID.parse().unwrap(), MIB)
    }
}

/// Every grant that can be made, in every style and with and without a session token.
fn all_grants() -> Vec<Grant> {
    let mut grants = Vec::new();
    for bucket in buckets() {
        for credentials in [credentials(), credentials().with_session_token("to/k+en==")] {
            for seal in Seal::ALL {
                for full in [false, true] {
                    let policy = Policy {
                        if_none_match: full,
                        octet_stream: full,
                        cache_control: full.then(|| "public, max-age=31536000, immutable".into()),
                        ..policy(seal)
                    };
                    let granter =
                        Granter::new(bucket.clone(), keys(), credentials.clone(), policy).unwrap();
                    grants.push(granter.write(&upload(), 300, now()).unwrap());
                }
            }
            let granter =
                Granter::new(bucket.clone(), keys(), credentials, Policy::default()).unwrap();
            for read in [
                Read::default(),
                Read {
                    head: true,
                    ..Read::default()
                },
                Read {
                    range: Some(ByteRange {
                        first: 5,
                        last: Some(9),
                    }),
                    content_type: Some("text/plain; charset=utf-8".into()),
                    content_disposition: Some("attachment; filename=\"a b.txt\"".into()),
                    ..Read::default()
                },
                Read {
                    range: Some(ByteRange {
                        first: 5,
                        last: None,
                    }),
                    ..Read::default()
                },
            ] {
                grants.push(
                    granter
                        .read(&CID.parse().unwrap(), &read, 300, now())
                        .unwrap(),
                );
            }
        }
    }
    grants
}

#[test]
fn a_server_accepts_every_grant_until_it_expires() {
    let grants = all_grants();
    assert_eq!(grants.len(), 3 * 2 * (4 * 2 + 4));
    for grant in grants {
        let request = Received::from(&grant);
        assert_eq!(accepts(&request, NOW), Ok(()), "{grant:?}");
        let expires = grant.expires.unwrap().unix();
        assert_eq!(expires, NOW + 300);
        assert_eq!(accepts(&request, expires), Ok(()), "{grant:?}");
        assert!(accepts(&request, expires + 1).is_err(), "{grant:?}");
    }
}

#[test]
fn a_server_refuses_every_change() {
    for grant in all_grants() {
        let request = Received::from(&grant);
        let refused = |change: &dyn Fn(&mut Received)| {
            let mut changed = request.clone();
            change(&mut changed);
            assert!(
                accepts(&changed, NOW).is_err(),
                "{grant:?} became {changed:?}"
            );
        };
        refused(&|r| r.method = if r.method == "PUT" { "GET" } else { "PUT" }.into());
        refused(&|r| r.url = r.url.replace(".data", ".dat"));
        refused(&|r| r.url = r.url.replacen("://", "://x", 1));
        refused(&|r| {
            r.url.push(if r.url.contains('?') { '&' } else { '?' });
            r.url.push_str("versionId=1");
        });
        refused(&|r| r.headers.push(("x-amz-acl".into(), "public-read".into())));
        for index in 0..request.headers.len() {
            refused(&|r| r.headers[index].1.push('0'));
            refused(&|r| drop(r.headers.remove(index)));
        }
        if let Some((_, query)) = grant.url.split_once('?') {
            for parameter in query.split('&') {
                refused(&|r| r.url = r.url.replace(parameter, &format!("{parameter}0")));
                let (name, _) = parameter.split_once('=').unwrap();
                refused(&|r| r.url = r.url.replace(parameter, &format!("{name}=")));
            }
        }
    }
}

#[test]
fn each_seal_sends_what_it_says() {
    let header = |seal, name: &str| {
        let grant = granter(policy(seal)).write(&upload(), 300, now()).unwrap();
        let mut headers = grant.headers.into_iter();
        headers.find_map(|(own, value)| (own == name).then_some(value))
    };
    let cid: cid::Cid = CID.parse().unwrap();
    let digest = cid.hash().digest();
    let (hex, base64) = (server::hex(digest), data_encoding::BASE64.encode(digest));
    for (seal, checksum, content_sha256, md5) in [
        (Seal::Checksum, Some(&base64), None, false),
        (Seal::PayloadHash, None, Some(&hex), false),
        (Seal::Header, None, Some(&hex), false),
        (Seal::ChecksumMd5, Some(&base64), None, true),
    ] {
        assert_eq!(header(seal, "content-length").as_deref(), Some("1048576"));
        assert_eq!(header(seal, "x-amz-checksum-sha256").as_ref(), checksum);
        assert_eq!(
            header(seal, "x-amz-content-sha256").as_ref(),
            content_sha256
        );
        assert_eq!(header(seal, "content-md5").is_some(), md5);
        assert_eq!(
            header(seal, "authorization").is_some(),
            seal == Seal::Header
        );
        let url = granter(policy(seal))
            .write(&upload(), 300, now())
            .unwrap()
            .url;
        assert_eq!(url.contains('?'), seal != Seal::Header);
        assert!(
            !url.to_lowercase().contains("checksum-sha256="),
            "never hoisted: {url}"
        );
    }
}

#[test]
fn the_life_of_a_grant_has_limits() {
    let read = |policy: Policy, seconds| {
        granter(policy).read(&CID.parse().unwrap(), &Read::default(), seconds, now())
    };
    let limited = |max_expires| Policy {
        max_expires,
        ..Policy::default()
    };
    for (max_expires, seconds, limit) in [
        (3_600, 0, 3_600),
        (3_600, 3_601, 3_600),
        (u32::MAX, 604_801, 604_800),
    ] {
        assert_eq!(
            read(limited(max_expires), seconds),
            Err(Error::Expires { seconds, limit })
        );
    }
    let week = read(limited(604_800), 604_800).unwrap();
    assert_eq!(week.expires.unwrap().unix(), NOW + 604_800);

    // Under the header seal, S3's own 15 minutes are the limit; less is less.
    let write = |seconds| {
        granter(policy(Seal::Header))
            .write(&upload(), seconds, now())
            .unwrap()
    };
    for (seconds, expected) in [(60, 60), (900, 900), (3_600, 900)] {
        let grant = write(seconds);
        assert_eq!(grant.expires.unwrap().unix(), NOW + expected);
        assert_eq!(accepts(&(&grant).into(), NOW + expected), Ok(()));
        assert_eq!(accepts(&(&grant).into(), NOW + expected + 1), Err("skewed"));
    }
}

#[test]
fn a_grant_ends_with_its_credentials() {
    let granter =
        |end| granter(policy(Seal::Checksum)).with_credentials_expiry(Timestamp::from_unix(end));
    let cid = CID.parse().unwrap();
    let read = |end| granter(end).read(&cid, &Read::default(), 300, now());
    let grant = read(NOW + 100).unwrap();
    assert_eq!(grant.expires.unwrap().unix(), NOW + 100);
    assert!(grant.url.contains("X-Amz-Expires=100&"));
    assert_eq!(
        read(NOW + 1_000).unwrap().expires.unwrap().unix(),
        NOW + 300
    );
    assert_eq!(read(NOW), Err(Error::CredentialsExpired));
    assert_eq!(read(NOW - 1), Err(Error::CredentialsExpired));
    let batch = granter(NOW + 100)
        .read_batch(&[cid], &Read::default(), 300, now())
        .unwrap();
    assert_eq!(batch.read(0, &cid).unwrap(), grant);
}

#[test]
fn only_blocks_that_s3_can_check_are_written() {
    let granter = granter(policy(Seal::Checksum));
    let cid = |code, digest: &[u8]| {
        cid::Cid::new_v1(0x55, multihash::Multihash::wrap(code, digest).unwrap())
    };
    let write = |cid| granter.write(&Upload::new(cid, 3), 60, now()).map(|_| ());
    let batch = |cid| {
        granter
            .write_batch(&[Upload::new(cid, 3)], 60, now())
            .map(|_| ())
    };
    let read = |cid| granter.read(&cid, &Read::default(), 60, now()).map(|_| ());
    assert_eq!(write(cid(0x12, &[1; 32])), Ok(()));
    for other in [
        cid(0x12, &[1; 20]),   // truncated sha2-256
        cid(0x13, &[1; 64]),   // sha2-512
        cid(0x1e, &[1; 32]),   // blake3
        cid(0x56, &[1; 32]),   // dbl-sha2-256
        cid(0xb220, &[1; 32]), // blake2b-256
    ] {
        assert_eq!(write(other), Err(Error::NotSha256(other)));
        assert_eq!(batch(other), Err(Error::NotSha256(other)));
        assert_eq!(read(other), Ok(()), "reading needs no seal");
    }
    let inline = cid(0x00, b"abc");
    assert_eq!(write(inline), Err(Error::Inline(inline)));
    assert_eq!(batch(inline), Err(Error::Inline(inline)));
    assert_eq!(read(inline), Err(Error::Inline(inline)));
    assert_eq!(
        granter.read_batch(&[cid(0x12, &[1; 32]), inline], &Read::default(), 60, now()),
        Err(Error::Inline(inline))
    );
}

#[test]
fn writes_have_a_size_limit_and_need_a_seal() {
    let cid = CID.parse().unwrap();
    let small = Policy {
        max_block: 10,
        ..policy(Seal::Checksum)
    };
    let too_large = Error::TooLarge {
        cid,
        size: 11,
        limit: 10,
    };
    let granted = granter(small);
    assert!(granted.write(&Upload::new(cid, 10), 60, now()).is_ok());
    assert_eq!(
        granted.write(&Upload::new(cid, 11), 60, now()),
        Err(too_large.clone())
    );
    assert_eq!(
        granted.write_batch(&[Upload::new(cid, 11)], 60, now()),
        Err(too_large)
    );

    let upload = Upload::new(cid, 1);
    let unsealed = granter(Policy::default());
    assert_eq!(unsealed.write(&upload, 60, now()), Err(Error::NoSeal));
    assert_eq!(unsealed.write_batch(&[], 60, now()), Err(Error::NoSeal));
    let md5 = granter(policy(Seal::ChecksumMd5));
    assert_eq!(md5.write(&upload, 60, now()), Err(Error::NoMd5(cid)));
    assert_eq!(
        md5.write_batch(&[upload], 60, now()),
        Err(Error::NoMd5(cid))
    );
    let header = granter(policy(Seal::Header));
    assert_eq!(
        header.write_batch(&[upload], 60, now()),
        Err(Error::NoBatch)
    );
    let many = vec![cid; cidbucket_presign::MAX_BATCH + 1];
    assert!(matches!(
        granted.read_batch(&many, &Read::default(), 60, now()),
        Err(Error::TooManyBlocks { .. })
    ));
}

#[test]
fn a_public_bucket_has_plain_reads_and_no_writes() {
    let [bucket, ..] = buckets();
    let public = Granter::public(bucket.clone(), keys(), policy(Seal::Checksum)).unwrap();
    let cid = CID.parse().unwrap();
    let range = Read {
        range: Some(ByteRange {
            first: 0,
            last: Some(0),
        }),
        ..Read::default()
    };
    let grant = public.read(&cid, &range, 60, now()).unwrap();
    assert_eq!(grant.url, bucket.url(&keys().key(&cid)));
    assert_eq!(
        grant.headers,
        [("range".to_owned(), "bytes=0-0".to_owned())]
    );
    assert_eq!(grant.expires, None);
    let batch = public.read_batch(&[], &range, 60, now()).unwrap();
    assert_eq!(batch.read(12, &cid).unwrap(), grant);

    let override_ = Read {
        content_type: Some("text/plain".into()),
        ..Read::default()
    };
    assert_eq!(public.read(&cid, &override_, 60, now()), Err(Error::Public));
    assert_eq!(public.write(&upload(), 60, now()), Err(Error::Public));
    assert_eq!(
        public.write_batch(&[upload()], 60, now()),
        Err(Error::Public)
    );
}

#[test]
fn what_cannot_be_asked_for() {
    let granter = granter(Policy::default());
    let read = |read: Read| granter.read(&CID.parse().unwrap(), &read, 60, now());
    assert_eq!(
        read(Read {
            range: Some(ByteRange {
                first: 2,
                last: Some(1)
            }),
            ..Read::default()
        }),
        Err(Error::Range)
    );
    assert_eq!(
        read(Read {
            content_disposition: Some("a\r\nb".into()),
            ..Read::default()
        }),
        Err(Error::ControlCharacter("response-content-disposition"))
    );
    let [bucket, ..] = buckets();
    let policy = Policy {
        cache_control: Some("a\nb".into()),
        ..Policy::default()
    };
    assert_eq!(
        Granter::public(bucket, keys(), policy).map(|_| ()),
        Err(Error::ControlCharacter("cache_control"))
    );
}

#[test]
fn no_debug_shows_a_secret() {
    let [bucket, ..] = buckets();
    let credentials = Credentials::new("AKID", "canary-secret").with_session_token("canary-token");
    let granter = Granter::new(bucket, keys(), credentials, policy(Seal::Header)).unwrap();
    let write = granter.write(&upload(), 60, now()).unwrap();
    let read = granter
        .read(&CID.parse().unwrap(), &Read::default(), 60, now())
        .unwrap();
    let batch = granter
        .read_batch(&[upload().cid], &Read::default(), 60, now())
        .unwrap();
    let shown = format!("{granter:?} {write:?} {read:?} {batch:?}");
    assert!(
        !shown.contains("canary") && !shown.contains("Signature"),
        "{shown}"
    );
}
