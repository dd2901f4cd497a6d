//! Importing trees: order, roots, errors, and what the store is asked.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use cidbucket_blockstore::{
    Blockstore, CountingBlockstore, Error, FailingBlockstore, Fault, MemoryBlockstore, Operation,
    Report,
};
use cidbucket_dag::unixfs::add::Profile;
use cidbucket_dag::unixfs::{
    Content, ImportEvent, ImportOptions, Item, Metadata, cat, entries, import,
};
use cidbucket_dag::{DagError, Result};
use futures::FutureExt;
use futures::executor::block_on;
use futures::stream::{self, StreamExt, TryStreamExt};
use proptest::prelude::*;

fn file(path: &str, content: impl Into<Bytes>) -> Item<'static> {
    let content: Bytes = content.into();
    Item {
        path: path.into(),
        metadata: Metadata::default(),
        content: Content::File(stream::iter([Ok(content)]).boxed()),
    }
}

fn folder(path: &str) -> Item<'static> {
    Item {
        path: path.into(),
        metadata: Metadata::default(),
        content: Content::Directory,
    }
}

/// Imports, and gives the CID and path of what was added, as Kubo prints it; roots are marked.
fn added(
    store: Option<&dyn Blockstore>,
    items: Vec<Item<'static>>,
    options: ImportOptions,
) -> Result<Vec<String>> {
    let items = stream::iter(items.into_iter().map(Ok)).boxed();
    block_on(
        import(store, items, options)
            .try_filter_map(|event| async {
                Ok(match event {
                    ImportEvent::Progress { .. } => None,
                    ImportEvent::Added {
                        path,
                        added,
                        is_root,
                    } => Some(format!(
                        "{} {path}{}",
                        added.cid,
                        if is_root { " root" } else { "" }
                    )),
                })
            })
            .try_collect(),
    )
}

/// `ipfs add -r moons` of Kubo's `test/sharness/t0040-add-and-cat.sh`.
fn moons() -> Vec<Item<'static>> {
    vec![
        file("moons/jupiter/europa.txt", "Hello Europa!\n"),
        file("moons/mercury.txt", "hey you are no moon!\n"),
        file("moons/saturn/titan.txt", "Hello Titan!\n"),
    ]
}

const MOONS: [&str; 6] = [
    "Qmbjg7zWdqdMaK2BucPncJQDxiALExph5k3NkQv5RHpccu moons/jupiter/europa.txt",
    "QmS5mZddhFPLWFX3w6FzAy9QxyYkaxvUpsWCtZ3r7jub9J moons/jupiter",
    "QmRsTB5CpEUvDUpDgHCzb3VftZ139zrk9zs5ZcgYh9TMPJ moons/mercury.txt",
    "QmZzppb9WHn552rmRqpPfgU5FEiHH6gDwi3MrB9cTdPwdb moons/saturn/titan.txt",
    "QmaMagZT4rTE7Nonw8KGSK4oe1bh533yhZrCo1HihSG8FK moons/saturn",
    "QmbGoaQZm8kjYfCiN1aBsgwhqfUBGDYTrDb91Mz7Dvq81B moons root",
];

#[test]
fn a_tree_has_kubos_cids() {
    let store = MemoryBlockstore::new();
    let options = ImportOptions::default();
    assert_eq!(added(Some(&store), moons(), options).unwrap(), MOONS);
    assert_eq!(store.len(), 6);
    assert_eq!(added(None, moons(), options).unwrap(), MOONS, "only hashed");

    // With directories that come themselves.
    let mut items = moons();
    items.insert(0, folder("moons"));
    items.insert(3, folder("moons/saturn"));
    assert_eq!(added(None, items, options).unwrap(), MOONS);
}

#[test]
fn a_directory_around_all() {
    let options = ImportOptions {
        wrap: true,
        ..ImportOptions::default()
    };
    // `ipfs add -w` of a file of one line, and of a pipe.
    let wrapped = added(None, vec![file("a", "a\n"), file("", "b\n")], options).unwrap();
    assert_eq!(wrapped.len(), 3);
    let (cid, path) = wrapped[1].split_once(' ').unwrap();
    assert_eq!(cid, path, "what has no name is called by its CID");
    assert!(wrapped[2].ends_with("  root"), "{wrapped:?}");

    // What is in it is what a directory of any name has.
    let named = added(None, vec![file("x/a", "a\n")], ImportOptions::default()).unwrap();
    let wrapped = added(None, vec![file("a", "a\n")], options).unwrap();
    assert_eq!(
        named[1].split_once(' ').unwrap().0,
        wrapped[1].split_once(' ').unwrap().0
    );
    // Nothing at all is the empty directory.
    assert_eq!(
        added(None, vec![], options).unwrap(),
        ["QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn  root"]
    );
    assert_eq!(
        added(None, vec![], ImportOptions::default()).unwrap(),
        [""; 0]
    );
}

#[test]
fn each_item_outside_of_directories_is_a_root() {
    let items = vec![
        file("a", "a"),
        folder("d"),
        file("d/b", "b"),
        folder("d"),
        file("a", "c"),
        Item {
            content: Content::Symlink("a".into()),
            ..folder("link")
        },
    ];
    let added = added(None, items, ImportOptions::default()).unwrap();
    let roots: Vec<_> = added
        .iter()
        .filter_map(|line| line.strip_suffix(" root"))
        .map(|line| line.split_once(' ').unwrap().1)
        .collect();
    assert_eq!(roots, ["a", "d", "d", "a", "link"]);
}

#[test]
fn what_cannot_be_is_refused() {
    let wrap = ImportOptions {
        wrap: true,
        ..ImportOptions::default()
    };
    for path in ["/a", "a/", "a//b", ".", "a/../b", "a/."] {
        let error = added(None, vec![file(path, "")], wrap).unwrap_err();
        assert!(error.to_string().contains("is no path"), "{error}");
    }
    let error = added(None, vec![folder("")], wrap).unwrap_err();
    assert!(error.to_string().contains("is no path"), "{error}");
    for items in [
        vec![file("a", "1"), file("a", "2")],
        vec![file("d/a", "1"), file("d/a", "2")],
        // `d/e` ends with `d/f`, so this is a second one.
        vec![file("d/e/1", ""), file("d/f", ""), file("d/e/2", "")],
        vec![file("d/a", ""), file("d/a/b", "")],
    ] {
        let error = added(None, items, wrap).unwrap_err().to_string();
        assert!(error.contains("have the name"), "{error}");
    }
    let profile = Profile {
        max_links: 1,
        ..Profile::kubo()
    };
    let options = ImportOptions { profile, ..wrap };
    let error = added(None, vec![file("a", "")], options).unwrap_err();
    assert!(error.to_string().contains("links a node"), "{error}");
}

#[test]
fn the_first_error_is_the_end() {
    let unavailable = || Error::Unavailable(Report::new("put", "no").into());
    let store = FailingBlockstore::new(MemoryBlockstore::new());
    store.fail_nth(Operation::Put, 3, unavailable());
    let items = stream::iter(moons().into_iter().map(Ok)).boxed();
    let mut events = import(Some(&store), items, ImportOptions::default());
    let events: Vec<_> = block_on(async { events.by_ref().collect().await });
    assert!(matches!(
        events.last(),
        Some(Err(DagError::Store(Error::Unavailable(_))))
    ));
    let stored = events
        .iter()
        .filter(|event| matches!(event, Ok(ImportEvent::Added { .. })));
    assert_eq!(stored.count(), 2, "what was stored before it is told");
    assert_eq!(events.iter().filter(|event| event.is_err()).count(), 1);

    // A file that cannot be read to its end.
    let broken = || {
        let pieces = [
            Ok(Bytes::from("half")),
            Err(DagError::Store(Error::Io(
                Report::new("read", "broken").into(),
            ))),
            Ok(Bytes::from("of it")),
        ];
        Item {
            content: Content::File(stream::iter(pieces).boxed()),
            ..file("broken", "")
        }
    };
    let store = MemoryBlockstore::new();
    let items = vec![file("a", "1"), broken(), file("b", "2")];
    let error = added(Some(&store), items, ImportOptions::default()).unwrap_err();
    assert!(error.to_string().contains("broken"), "{error}");
    assert_eq!(store.len(), 1, "nothing of it, nor of what comes after");
}

#[test]
fn nothing_is_told_before_it_is_stored() {
    let store = FailingBlockstore::new(MemoryBlockstore::new());
    store.hang_nth(Operation::Put, 2);
    let items = stream::iter(moons().into_iter().map(Ok)).boxed();
    let mut events = import(Some(&store), items, ImportOptions::default());
    let mut told = Vec::new();
    while let Some(Some(event)) = events.next().now_or_never() {
        if let ImportEvent::Added { path, .. } = event.unwrap() {
            told.push(path);
        }
    }
    assert_eq!(told, ["moons/jupiter/europa.txt"]);
}

#[test]
fn a_store_that_stalls_is_not_read_ahead_of() {
    let store = FailingBlockstore::new(MemoryBlockstore::new());
    store.fault_when(|_| Fault::Hang);
    // Nor in zeroes, of which one block is sent.
    let zeroes = Bytes::from(vec![0; 1 << 10]);
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let pieces = stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(zeroes.clone())
    });
    let item = Item {
        content: Content::File(pieces.boxed()),
        ..file("endless", "")
    };
    let items = stream::iter([Ok(item)]).boxed();
    let mut events = import(Some(&store), items, ImportOptions::default());
    while events.next().now_or_never().is_some() {}
    let read = read.load(Ordering::Relaxed);
    assert!(read <= 10_000, "{read} pieces of 1 KiB");

    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let pieces = stream::repeat_with(move || {
        let piece = counted.fetch_add(1, Ordering::Relaxed);
        Ok(Bytes::from(vec![
            u8::try_from(piece % 256).unwrap();
            1 << 20
        ]))
    });
    let item = Item {
        content: Content::File(pieces.boxed()),
        ..file("endless", "")
    };
    let options = ImportOptions {
        profile: Profile::v1_2025(),
        ..ImportOptions::default()
    };
    let items = stream::iter([Ok(item)]).boxed();
    let mut events = import(Some(&store), items, options);
    assert!(events.next().now_or_never().is_none());
    assert!(events.next().now_or_never().is_none());
    let read = read.load(Ordering::Relaxed);
    assert!(read <= store.concurrency() + 2, "{read} pieces of 1 MiB");
}

#[test]
fn what_is_present_is_not_sent_again() {
    let store = CountingBlockstore::new(MemoryBlockstore::new());
    let options = ImportOptions {
        skip_present: true,
        ..ImportOptions::default()
    };
    for (round, puts) in [(1, 6), (2, 6)] {
        assert_eq!(added(Some(&store), moons(), options).unwrap(), MOONS);
        assert_eq!(
            store.snapshot().calls(Operation::Put),
            puts,
            "round {round}"
        );
    }
    let mut items = moons();
    items.push(file("moons/uranus/ariel.txt", "Hello Ariel!\n"));
    added(Some(&store), items, options).unwrap();
    let puts = store.snapshot().calls(Operation::Put);
    assert_eq!(puts, 6 + 3, "a file, its directory, the root");

    let failing = FailingBlockstore::new(&store);
    failing.fail_nth(
        Operation::Size,
        1,
        Error::Denied(Report::new("size", "no").into()),
    );
    failing.fail_nth(
        Operation::Has,
        1,
        Error::Denied(Report::new("has", "no").into()),
    );
    let error = added(Some(&failing), moons(), options).unwrap_err();
    assert!(
        matches!(error, DagError::Store(Error::Denied(_))),
        "{error}"
    );
}

#[test]
fn a_block_that_comes_again_is_sent_once() {
    let store = CountingBlockstore::new(MemoryBlockstore::new());
    let zeroes = || file("zeroes", vec![0; 4 << 20]);
    let items = vec![zeroes(), zeroes()];
    let lines = added(Some(&store), items, ImportOptions::default()).unwrap();
    assert_eq!(lines.len(), 2);
    // Sixteen chunks that are one block, and the root.
    assert_eq!(store.snapshot().calls(Operation::Put), 2);

    // Nothing is told before that one block is stored.
    let failing = FailingBlockstore::new(MemoryBlockstore::new());
    failing.hang_nth(Operation::Put, 1);
    let items = stream::iter([Ok(zeroes())]).boxed();
    let mut events = import(Some(&failing), items, ImportOptions::default());
    assert!(events.next().now_or_never().is_none());
}

#[test]
fn events_are_told_while_nothing_is_sent() {
    let store = MemoryBlockstore::new();
    let options = ImportOptions {
        skip_present: true,
        ..ImportOptions::default()
    };
    added(Some(&store), vec![file("x", "1")], options).unwrap();
    let read = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&read);
    let items = stream::repeat_with(move || {
        counted.fetch_add(1, Ordering::Relaxed);
        Ok(file("x", "1"))
    });
    let mut events = import(Some(&store), items.boxed(), options);
    for _ in 0..10_000 {
        block_on(events.next()).unwrap().unwrap();
    }
    let read = read.load(Ordering::Relaxed);
    assert!(read < 7_500, "{read} files for 5,000 to be told");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_was_added_is_read_again(
        files in proptest::collection::btree_map("[a-c]{1,3}", proptest::collection::vec(any::<u8>(), 0..600), 1..30),
        size in 1_usize..100,
        max_links in 2_usize..5,
        threshold in prop_oneof![Just(0_u64), Just(1 << 18)],
        fanout in prop_oneof![Just(8_u64), Just(16), Just(256), Just(1024)],
        base in prop_oneof![Just(Profile::kubo()), Just(Profile::v1()), Just(Profile::v1_2025())],
    ) {
        let mut profile = Profile {
            chunker: format!("size-{size}").parse().unwrap(),
            max_links,
            ..base
        };
        profile.sharding.threshold = threshold;
        profile.sharding.fanout = fanout;
        let store = MemoryBlockstore::new();
        let items = files
            .iter()
            .map(|(name, data)| file(&format!("dir/{name}"), data.clone()))
            .collect();
        let options = ImportOptions { profile, ..ImportOptions::default() };
        let added = added(Some(&store), items, options).unwrap();
        let root = added.last().unwrap().split_once(' ').unwrap().0.parse().unwrap();
        let found: Vec<_> = block_on(entries(&store, root).try_collect()).unwrap();
        prop_assert_eq!(found.len(), files.len());
        for entry in found {
            let pieces: Vec<Bytes> =
                block_on(cat(&store, entry.cid, 0..u64::MAX).try_collect()).unwrap();
            prop_assert_eq!(&pieces.concat(), &files[&entry.name]);
        }
    }
}
