//! CARs of both versions, in pieces.
//!
//! The first byte says how long the pieces are, with 0 for all in one.
#![no_main]

use cidbucket_blockstore::{Block, Bytes};
use cidbucket_dag::car::{self, CarDecoder, CarError, CarHeader, CarLimits, Event};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((&size, car)) = input.split_first() else {
        return;
    };
    let whole = decode(&[Bytes::copy_from_slice(car)]);
    let size = if size == 0 {
        car.len().max(1)
    } else {
        size.into()
    };
    let pieces: Vec<Bytes> = car.chunks(size).map(Bytes::copy_from_slice).collect();
    let cut = decode(&pieces);
    assert_eq!(cut.events, whole.events);
    let error = |outcome: Result<(), CarError>| outcome.err().map(|error| error.to_string());
    assert_eq!(error(cut.end.clone()), error(whole.end.clone()));
    if let Err(error) = &whole.end {
        assert!(error.offset() <= car.len() as u64);
    }
    check(&whole.events, whole.end.is_ok());
});

struct Decoded {
    events: Vec<Event>,
    end: Result<(), CarError>,
}

fn decode(pieces: &[Bytes]) -> Decoded {
    let mut decoder = CarDecoder::new(CarLimits::default());
    let mut events = Vec::new();
    for piece in pieces {
        decoder.feed(piece.clone());
        loop {
            match decoder.next() {
                Ok(Some(event)) => events.push(event),
                Ok(None) => break,
                Err(error) => {
                    let end = Err(error);
                    return Decoded { events, end };
                }
            }
        }
    }
    let end = decoder.finish();
    Decoded { events, end }
}

/// The header comes first and once; blocks are what their CIDs say; what was read whole is written
/// and read again the same.
fn check(events: &[Event], whole: bool) {
    let Some((first, rest)) = events.split_first() else {
        assert!(!whole);
        return;
    };
    let Event::Header(CarHeader { version, roots }) = first else {
        panic!("a block before the header");
    };
    assert!(*version == 1 || *version == 2);
    let mut car = vec![car::header(roots)];
    for event in rest {
        let Event::Block(block) = event else {
            panic!("a second header");
        };
        Block::new(*block.cid(), block.data().clone()).expect("it was checked");
        car.extend(car::section(block));
    }
    let again = decode(&car);
    again.end.expect("our own form");
    assert_eq!(&again.events[1..], rest);
    assert!(matches!(&again.events[0], Event::Header(again) if again.roots == *roots));
}
