//! CIDs from bytes and from text, and blocks under them.
#![no_main]

use cidbucket_blockstore::{Block, Cid, Error, Hash};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    // A CID in bytes, and what follows it as the block.
    let mut rest = input;
    if let Ok(cid) = Cid::read_bytes(&mut rest) {
        check(&cid, rest);
    }
    if let Some(cid) = str::from_utf8(input)
        .ok()
        .and_then(|text| text.parse().ok())
    {
        check(&cid, b"");
    }
    // A block of every hash: its own bytes are accepted, others are not.
    let Some((&choice, data)) = input.split_first() else {
        return;
    };
    let hash = Hash::ALL[usize::from(choice) % Hash::ALL.len()];
    assert_eq!(Hash::from_name(&hash.name()), Some(hash));
    let Ok(block) = Block::encode(0x55, hash, data.to_vec()) else {
        assert!(hash == Hash::Identity && data.len() > 64);
        return;
    };
    assert_eq!(Block::new(*block.cid(), data.to_vec()).unwrap(), block);
    let mut other = data.to_vec();
    other.push(0);
    assert!(matches!(
        Block::new(*block.cid(), other),
        Err(Error::Corrupt(_))
    ));
    assert_eq!(
        block.cid().to_string().parse::<Cid>().unwrap(),
        *block.cid()
    );
});

fn check(cid: &Cid, data: &[u8]) {
    let accepted = Hash::of(cid);
    match Block::new(*cid, data.to_vec()) {
        Ok(block) => assert_eq!(block.data(), data),
        Err(Error::Corrupt(_)) => assert!(accepted.is_ok()),
        Err(Error::Invalid(_)) => assert!(accepted.is_err()),
        Err(other) => panic!("{other}"),
    }
    match Block::inline(cid) {
        Ok(Some(block)) => assert_eq!(block.data(), cid.hash().digest()),
        Ok(None) => assert_ne!(accepted.unwrap(), Hash::Identity),
        Err(_) => assert!(accepted.is_err()),
    }
}
