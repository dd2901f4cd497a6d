//! CARs: whole ones in pieces of any size, cut ones, hostile ones, and those of others.

use std::path::PathBuf;

use bytes::Bytes;
use cidbucket_blockstore::{Block, Cid, Hash, Multihash};
use cidbucket_dag::car::{self, CarDecoder, CarError, CarHeader, CarLimits, Event, ReadError};
use futures::executor::block_on;
use futures::stream::{self, StreamExt, TryStreamExt};
use proptest::prelude::*;

/// Everything in a CAR that is fed in `pieces`.
fn decode(pieces: impl IntoIterator<Item = Bytes>) -> Result<Vec<Event>, CarError> {
    decode_within(CarLimits::default(), pieces)
}

fn decode_within(
    limits: CarLimits,
    pieces: impl IntoIterator<Item = Bytes>,
) -> Result<Vec<Event>, CarError> {
    let mut decoder = CarDecoder::new(limits);
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        while let Some(event) = decoder.next()? {
            events.push(event);
        }
    }
    decoder.finish()?;
    Ok(events)
}

fn car(roots: &[Cid], blocks: &[Block]) -> Vec<u8> {
    let mut car = car::header(roots).to_vec();
    for block in blocks {
        car.extend(car::section(block).concat());
    }
    car
}

/// A `CARv2` around a `CARv1`, with so much padding before it, and these bytes after it.
fn car_v2(v1: &[u8], padding: usize, after: &[u8]) -> Vec<u8> {
    let start = 51 + padding as u64;
    let mut car = hex("0aa16776657273696f6e02");
    car.extend([0; 16]);
    car.extend(start.to_le_bytes());
    car.extend((v1.len() as u64).to_le_bytes());
    car.extend((start + v1.len() as u64).to_le_bytes());
    car.extend(vec![0; padding]);
    car.extend(v1);
    car.extend(after);
    car
}

fn hex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn varint(value: u64) -> Vec<u8> {
    let mut buffer = unsigned_varint::encode::u64_buffer();
    unsigned_varint::encode::u64(value, &mut buffer).to_vec()
}

/// A header with these bytes of DAG-CBOR.
fn header_of(cbor: &[u8]) -> Vec<u8> {
    [varint(cbor.len() as u64), cbor.to_vec()].concat()
}

/// A section of any bytes.
fn section_of(bytes: &[u8]) -> Vec<u8> {
    [varint(bytes.len() as u64), bytes.to_vec()].concat()
}

fn v0(data: &[u8]) -> Block {
    let block = Block::raw(data.to_vec());
    let cid = Cid::new_v0(*block.multihash()).unwrap();
    block.with_cid(&cid).unwrap()
}

fn some_block() -> impl Strategy<Value = Block> {
    let hash = prop::sample::select(Hash::ALL);
    let codec = prop::sample::select(vec![0x55, 0x70, 0x71, 0x0129, 0x0200, 0x7fff_ffff_ffff]);
    let data = prop_oneof![
        4 => prop::collection::vec(any::<u8>(), 0..64),
        1 => prop::collection::vec(any::<u8>(), 0..5000),
    ];
    (hash, codec, any::<bool>(), data).prop_map(|(hash, codec, old, mut data)| {
        if old {
            return v0(&data);
        }
        if hash == Hash::Identity {
            data.truncate(64);
        }
        Block::encode(codec, hash, data).unwrap()
    })
}

/// A CAR, and what is in it.
fn some_car() -> impl Strategy<Value = (Vec<u8>, Vec<Event>)> {
    let blocks = prop::collection::vec(some_block(), 0..12);
    let v2 = prop::option::of((0..100usize, prop::collection::vec(any::<u8>(), 0..100)));
    (blocks, 0..4usize, v2).prop_map(|(blocks, roots, v2)| {
        let roots: Vec<Cid> = blocks.iter().take(roots).map(|b| *b.cid()).collect();
        let mut bytes = car(&roots, &blocks);
        let version = if let Some((padding, after)) = &v2 {
            bytes = car_v2(&bytes, *padding, after);
            2
        } else {
            1
        };
        let header = Event::Header(CarHeader { version, roots });
        let blocks = blocks.into_iter().map(Event::Block);
        (bytes, std::iter::once(header).chain(blocks).collect())
    })
}

proptest! {
    #[test]
    fn pieces_of_any_size_give_the_same((car, events) in some_car(), cuts in prop::collection::vec(1..200usize, 1..50)) {
        let mut rest = Bytes::from(car);
        let mut pieces = Vec::new();
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            pieces.push(rest.split_to((*cut).min(rest.len())));
        }
        // Fed one by one, all at once, and as one.
        prop_assert_eq!(&decode(pieces.clone()).unwrap(), &events);
        let mut decoder = CarDecoder::new(CarLimits::default());
        for piece in &pieces {
            decoder.feed(piece.clone());
        }
        let mut found = Vec::new();
        while let Some(event) = decoder.next().unwrap() {
            found.push(event);
        }
        decoder.finish().unwrap();
        prop_assert_eq!(&found, &events);
        let whole = Bytes::from(pieces.concat());
        prop_assert_eq!(&decode([whole]).unwrap(), &events);
    }

    #[test]
    fn streams_give_the_same(blocks in prop::collection::vec(some_block(), 0..12)) {
        let roots: Vec<Cid> = blocks.iter().take(2).map(|block| *block.cid()).collect();
        let source = stream::iter(blocks.clone()).map(Ok::<_, ()>);
        let pieces: Vec<Bytes> = block_on(car::write(&roots, source).try_collect()).unwrap();
        prop_assert_eq!(pieces.concat(), car(&roots, &blocks));
        let source = stream::iter(pieces).map(Ok::<_, ()>);
        let events = car::read(source, CarLimits::default());
        let events: Vec<Event> = block_on(events.boxed().try_collect()).unwrap();
        let header = Event::Header(CarHeader { version: 1, roots });
        let expected = std::iter::once(header).chain(blocks.into_iter().map(Event::Block));
        prop_assert_eq!(events, expected.collect::<Vec<_>>());
    }

    #[test]
    fn what_is_cut_short_is_whole_only_between_sections((car, events) in some_car(), at in any::<prop::sample::Index>()) {
        let at = at.index(car.len());
        let cut = Bytes::copy_from_slice(&car[..at]);
        let version = match &events[0] {
            Event::Header(header) => header.version,
            Event::Block(_) => unreachable!(),
        };
        match decode([cut]) {
            // What is cut off a CARv2 whose payload is whole is nothing.
            Ok(found) if version == 2 => prop_assert_eq!(found, events),
            Ok(found) => {
                prop_assert_eq!(&found, &events[..found.len()]);
                let blocks = events[found.len()..].iter().map(|event| match event {
                    Event::Block(block) => car::section(block).concat().len(),
                    Event::Header(_) => 0,
                });
                prop_assert_eq!(car.len() - at, blocks.sum::<usize>());
            }
            Err(CarError::Truncated { offset, .. }) => prop_assert_eq!(offset, at as u64),
            Err(error) => prop_assert!(false, "{}", error),
        }
    }

    #[test]
    fn a_flipped_bit_gives_no_other_block((mut car, events) in some_car(), at in any::<prop::sample::Index>(), bit in 0..8) {
        let at = at.index(car.len());
        car[at] ^= 1u8 << bit;
        let mut decoder = CarDecoder::new(CarLimits::default());
        decoder.feed(car.into());
        while let Ok(Some(event)) = decoder.next() {
            if let Event::Block(block) = event {
                // Whatever was flipped, a block is what its CID says.
                Block::new(*block.cid(), block.data().clone()).unwrap();
                let known = events.iter().any(|event| matches!(event, Event::Block(known) if known.data() == block.data()));
                prop_assert!(known || block.is_inline(), "{:?}", block);
            }
        }
    }

    #[test]
    fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        let _ = decode([Bytes::from(bytes.clone())]);
        let _ = decode([Bytes::from([&car(&[], &[])[..], &bytes].concat())]);
        let _ = decode([Bytes::from(car_v2(&bytes, 3, &bytes))]);
    }
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn what_is_wrong_is_said_and_where() {
    let roots_1 = hex("a265726f6f7473806776657273696f6e01");
    let start = car(&[], &[]);
    let after = start.len() as u64;
    let good = Block::raw(&b"good"[..]);
    let good_section = car::section(&good).concat();
    let body = after + 1;
    let with = |section: &[u8]| [&start[..], section].concat();
    let mut flipped = good_section.clone();
    *flipped.last_mut().unwrap() ^= 1;
    let wrap = |code, digest: &[u8]| {
        let cid = Cid::new_v1(0x55, Multihash::wrap(code, digest).unwrap());
        with(&section_of(&[&cid.to_bytes(), &b"good"[..]].concat()))
    };
    let inner = car(&[], std::slice::from_ref(&good));
    let v2_with = |at: usize, value: u64| {
        let mut car = car_v2(&inner, 0, b"");
        car[at..at + 8].copy_from_slice(&value.to_le_bytes());
        car
    };

    // The words are of the error's Debug.
    let cases = [
        ("nothing", vec![], 0, "Truncated header"),
        (
            "text",
            b"hello, I am no CAR at all".to_vec(),
            25,
            "Truncated",
        ),
        (
            "a ZIP file",
            [b"PK\x03\x04", &[0; 200][..]].concat(),
            1,
            "Header",
        ),
        ("an empty header", vec![0], 1, "Header"),
        ("a header of a list", header_of(&hex("80")), 1, "Header"),
        (
            "a header with bytes after it",
            header_of(&[&roots_1[..], &[0]].concat()),
            1,
            "Header",
        ),
        (
            "an unknown field",
            header_of(&hex("a26161006776657273696f6e01")),
            1,
            "Header",
        ),
        (
            "no version",
            header_of(&hex("a165726f6f747380")),
            1,
            "Header",
        ),
        (
            "version 0",
            header_of(&hex("a265726f6f7473806776657273696f6e00")),
            1,
            "Version",
        ),
        (
            "version 3",
            header_of(&hex("a265726f6f7473806776657273696f6e03")),
            1,
            "Version",
        ),
        (
            "a root that is no CID",
            header_of(&hex("a265726f6f74738141006776657273696f6e01")),
            1,
            "Header",
        ),
        (
            "a pragma with roots",
            header_of(&hex("a265726f6f7473806776657273696f6e02")),
            1,
            "Header",
        ),
        ("a header of 1 GiB", varint(1 << 30), 5, "TooLarge header"),
        (
            "a header length of 63 bits",
            varint(u64::MAX >> 1),
            9,
            "TooLarge",
        ),
        ("a header length of 64 bits", varint(u64::MAX), 0, "Length"),
        ("a header length without end", vec![0xff; 32], 0, "Length"),
        (
            "a header length that is not minimal",
            hex("8a00"),
            0,
            "Length",
        ),
        (
            "a section length that is not minimal",
            with(&hex("a400")),
            after,
            "Length",
        ),
        (
            "a section length without end",
            with(&[0xff; 11]),
            after,
            "Length",
        ),
        (
            "a section of 2^40 bytes",
            with(&varint(1 << 40)),
            after + 6,
            "TooLarge section",
        ),
        ("an empty section", with(&[0]), after, "EmptySection"),
        (
            "padding with zeroes",
            with(&[&good_section[..], &[0; 512]].concat()),
            after + good_section.len() as u64,
            "EmptySection",
        ),
        (
            "a section without a CID",
            with(&section_of(b"x")),
            body,
            "Cid",
        ),
        (
            "a section of a CID cut short",
            with(&section_of(&good.cid().to_bytes()[..20])),
            body,
            "Cid",
        ),
        (
            "a CID of version 2",
            with(&section_of(&hex("025500020102"))),
            body,
            "Cid",
        ),
        (
            "a CID with a codec that is not minimal",
            with(&section_of(&hex("01d500000102"))),
            body,
            "Cid",
        ),
        (
            "a digest of 65 bytes",
            with(&section_of(&[&hex("01551341")[..], &[7; 65]].concat())),
            body,
            "Cid",
        ),
        (
            "other bytes than the CID says",
            with(&flipped),
            body,
            "Block Corrupt",
        ),
        (
            "other bytes than an identity CID",
            wrap(0, b"evil"),
            body,
            "Block Corrupt",
        ),
        (
            "an unknown hash",
            wrap(0x1234, &[7; 32]),
            body,
            "Block Invalid",
        ),
        ("MD5", wrap(0xd5, &[7; 16]), body, "Block Invalid"),
        (
            "a digest cut to 4 bytes",
            wrap(0x12, &[7; 4]),
            body,
            "Block Invalid",
        ),
        (
            "a CARv2 cut in its header",
            car_v2(&inner, 0, b"")[..50].to_vec(),
            50,
            "Truncated header",
        ),
        (
            "a payload within the header",
            v2_with(27, 50),
            27,
            "V2Header",
        ),
        ("an empty payload", v2_with(35, 0), 35, "V2Header"),
        (
            "a payload beyond 64 bits",
            v2_with(35, u64::MAX),
            35,
            "V2Header",
        ),
        (
            "a payload far away",
            v2_with(27, u64::MAX - 999),
            51 + inner.len() as u64,
            "Truncated payload",
        ),
        (
            "a payload longer than the CAR",
            v2_with(35, inner.len() as u64 + 1),
            51 + inner.len() as u64,
            "Truncated payload",
        ),
        (
            "a payload that ends in a section",
            v2_with(35, inner.len() as u64 - 1),
            51 + body,
            "BeyondPayload",
        ),
        (
            "a payload that ends in a header",
            v2_with(35, 3),
            52,
            "BeyondPayload",
        ),
        (
            "a CARv2 in a CARv2",
            car_v2(&car_v2(&inner, 0, b""), 0, b""),
            52,
            "Header",
        ),
    ];
    for (name, bytes, offset, words) in cases {
        let whole = decode([Bytes::from(bytes.clone())]).expect_err(name);
        let debug = format!("{whole:?}");
        for word in words.split(' ') {
            assert!(debug.contains(word), "{name}: {debug}");
        }
        assert_eq!(whole.offset(), offset, "{name}: {whole}");
        assert!(
            whole.to_string().starts_with(&format!("byte {offset}: ")),
            "{name}: {whole}"
        );
        let pieces = bytes.iter().map(|byte| Bytes::copy_from_slice(&[*byte]));
        let single = decode(pieces).expect_err(name);
        assert_eq!(single.to_string(), whole.to_string(), "{name}");
    }
}

#[test]
fn a_decoder_that_failed_stays_so() {
    let mut decoder = CarDecoder::new(CarLimits::default());
    decoder.feed(Bytes::from_static(b"\x01x"));
    let error = decoder.next().unwrap_err().to_string();
    decoder.feed(car(&[], &[]).into());
    assert_eq!(decoder.next().unwrap_err().to_string(), error);
    assert_eq!(decoder.finish().unwrap_err().to_string(), error);
}

#[test]
fn limits_are_exact() {
    let limits = CarLimits {
        max_header: 100,
        max_section: 100,
        max_roots: 1,
    };
    let sized = |size: usize| Block::raw(vec![7; size - 36]);
    let root = *sized(50).cid();
    let events =
        |roots: &[Cid], blocks: &[Block]| decode_within(limits, [Bytes::from(car(roots, blocks))]);
    assert_eq!(events(&[root], &[sized(100)]).unwrap().len(), 2);
    assert!(matches!(
        events(&[root], &[sized(101)]),
        Err(CarError::TooLarge {
            size: 101,
            limit: 100,
            ..
        })
    ));
    assert!(matches!(
        events(&[root; 3], &[]),
        Err(CarError::TooLarge { what: "header", .. })
    ));
    let small: Cid = "bafkqaaa".parse().unwrap();
    assert!(matches!(
        events(&[small; 2], &[]),
        Err(CarError::TooManyRoots {
            count: 2,
            limit: 1,
            ..
        })
    ));
    // The largest block that a store takes is taken with any CID.
    let large = Block::encode(u64::MAX >> 1, Hash::Sha2_512, vec![7; 2 << 20]).unwrap();
    assert_eq!(decode([Bytes::from(car(&[], &[large]))]).unwrap().len(), 2);
}

#[test]
fn roots_may_be_absent_or_null() {
    let none = Event::Header(CarHeader {
        version: 1,
        roots: vec![],
    });
    for cbor in [
        "a16776657273696f6e01",
        "a265726f6f7473f66776657273696f6e01",
        "a265726f6f7473806776657273696f6e01",
    ] {
        assert_eq!(
            decode([Bytes::from(header_of(&hex(cbor)))]).unwrap(),
            std::slice::from_ref(&none)
        );
    }
}

#[test]
fn sections_keep_their_cids() {
    let data = b"one block, many names";
    let blocks: Vec<Block> = [v0(data), Block::raw(&data[..])]
        .into_iter()
        .chain([0x70, 0x71].map(|codec| Block::encode(codec, Hash::Sha2_256, &data[..]).unwrap()))
        .chain([Block::encode(0x55, Hash::Identity, &data[..]).unwrap()])
        .collect();
    let events = decode([Bytes::from(car(&[], &blocks))]).unwrap();
    let cids = events.iter().filter_map(|event| match event {
        Event::Block(block) => Some(*block.cid()),
        Event::Header(_) => None,
    });
    assert!(cids.eq(blocks.iter().map(|block| *block.cid())));
}

#[test]
fn large_blocks_are_not_copied_and_small_ones_keep_no_large_piece_alive() {
    let blocks = [Block::raw(vec![1; 100_000]), Block::raw(vec![2; 1000])];
    let piece = Bytes::from(car(&[], &blocks));
    let within = piece.as_ptr_range();
    let events = decode([piece.clone()]).unwrap();
    let shared: Vec<bool> = events
        .iter()
        .filter_map(|event| match event {
            Event::Block(block) => Some(within.contains(&block.data().as_ptr())),
            Event::Header(_) => None,
        })
        .collect();
    assert_eq!(shared, [true, false]);
}

#[test]
fn a_stream_ends_at_its_first_error() {
    let good = car(&[], &[Block::raw(&b"x"[..])]);
    let broken = stream::iter([Ok(Bytes::from(good.clone())), Err("gone"), Ok(Bytes::new())]);
    let events: Vec<_> = block_on(car::read(broken, CarLimits::default()).collect());
    assert!(
        matches!(events[..], [Ok(_), Ok(_), Err(ReadError::Input("gone"))]),
        "{events:?}"
    );
    let cut = stream::iter([Ok::<_, &str>(Bytes::from(good).slice(..30))]);
    let events: Vec<_> = block_on(car::read(cut, CarLimits::default()).collect());
    assert!(
        matches!(
            events[..],
            [Ok(_), Err(ReadError::Car(CarError::Truncated { .. }))]
        ),
        "{events:?}"
    );
    let blocks = stream::iter([
        Ok(Block::raw(&b"x"[..])),
        Err("gone"),
        Ok(Block::raw(&b"y"[..])),
    ]);
    let pieces: Vec<_> = block_on(car::write(&[], blocks).collect());
    assert!(
        matches!(pieces[..], [Ok(_), Ok(_), Err("gone")]),
        "{pieces:?}"
    );
}

/// The fixtures of the gateway conformance suite, where they are at hand (`CIDBUCKET_FIXTURES`, or
/// `shared/fixtures` beside the repository): CARs that others wrote.
#[test]
fn fixtures_decode_whole() {
    let beside = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/fixtures");
    let fixtures = std::env::var_os("CIDBUCKET_FIXTURES").map_or(beside, PathBuf::from);
    let Ok(folder) = fixtures.join("gateway-conformance").read_dir() else {
        println!("skipped: no fixtures in {}", fixtures.display());
        return;
    };
    let mut cars = 0;
    for entry in folder {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "car") {
            continue;
        }
        let bytes = std::fs::read(&path).unwrap();
        let events =
            decode([Bytes::from(bytes.clone())]).unwrap_or_else(|e| panic!("{path:?}: {e}"));
        let (Event::Header(header), blocks) = events.split_first().unwrap() else {
            panic!("{path:?} begins without a header");
        };
        assert!(!blocks.is_empty(), "{path:?}");
        let blocks: Vec<Block> = blocks
            .iter()
            .filter_map(|event| match event {
                Event::Block(block) => Some(block.clone()),
                Event::Header(_) => None,
            })
            .collect();
        assert_eq!(car(&header.roots, &blocks), bytes, "{path:?}");
        for block in &blocks {
            cidbucket_dag::links(block.cid(), block.data()).unwrap();
        }
        cars += 1;
    }
    assert!(cars > 0, "no CAR in {}", fixtures.display());
}
