//! Objects of Git, as `git-raw` blocks have them: `KIND SIZE`, a zero byte, and the object.
//!
//! <https://ipld.io/specs/codecs/git/>, as far as links go: a tree links to its entries, a commit to
//! its tree, parents and merged tags' objects, a tag to its object.

use cidbucket_blockstore::codec::GIT_RAW;
use cidbucket_blockstore::{Cid, Hash, Multihash};
use data_encoding::HEXLOWER;

/// Length of a SHA-1, in bytes.
const SHA1: usize = 20;

/// The links of an object, in order of appearance.
pub(super) fn links(object: &[u8]) -> Result<Vec<Cid>, &'static str> {
    let (head, body) = split(object, 0).ok_or("no zero byte behind kind and size")?;
    let (kind, size) = split(head, b' ').ok_or("no kind and size")?;
    let size: Option<usize> = str::from_utf8(size).ok().and_then(|size| size.parse().ok());
    if size != Some(body.len()) {
        return Err("another size than it says");
    }
    match kind {
        b"blob" => Ok(Vec::new()),
        b"tree" => of_tree(body),
        b"commit" => of_headers(body, &[b"tree ", b"parent ", b"mergetag object "]),
        b"tag" => of_headers(body, &[b"object "]),
        _ => Err("an object of unknown kind"),
    }
}

/// Entries are mode, space, name, zero byte, SHA-1.
fn of_tree(mut body: &[u8]) -> Result<Vec<Cid>, &'static str> {
    let mut links = Vec::new();
    while !body.is_empty() {
        let (entry, rest) = split(body, 0).ok_or("a tree entry without an end")?;
        split(entry, b' ').ok_or("a tree entry without a mode")?;
        let (sha1, rest) = rest
            .split_at_checked(SHA1)
            .ok_or("a tree entry cut short")?;
        links.push(link(sha1)?);
        body = rest;
    }
    Ok(links)
}

/// Lines up to the first empty one; what begins in one of these ways ends in a SHA-1.
fn of_headers(body: &[u8], linking: &[&[u8]]) -> Result<Vec<Cid>, &'static str> {
    let mut links = Vec::new();
    for line in body
        .split(|byte| *byte == b'\n')
        .take_while(|line| !line.is_empty())
    {
        if let Some(sha1) = linking.iter().find_map(|begin| line.strip_prefix(*begin)) {
            let sha1 = HEXLOWER
                .decode(sha1)
                .map_err(|_| "a header without a SHA-1")?;
            links.push(link(&sha1)?);
        }
    }
    Ok(links)
}

fn link(sha1: &[u8]) -> Result<Cid, &'static str> {
    if sha1.len() != SHA1 {
        return Err("a SHA-1 of another length");
    }
    let multihash = Multihash::wrap(Hash::Sha1.code(), sha1).map_err(|_| "no SHA-1")?;
    Ok(Cid::new_v1(GIT_RAW, multihash))
}

fn split(bytes: &[u8], at: u8) -> Option<(&[u8], &[u8])> {
    let place = bytes.iter().position(|byte| *byte == at)?;
    Some((&bytes[..place], &bytes[place + 1..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "4b825dc642cb6eb9a060e54bf8d69288fbee4904";
    const B: &str = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

    fn object(kind: &str, body: &[u8]) -> Vec<u8> {
        [format!("{kind} {}\0", body.len()).as_bytes(), body].concat()
    }

    fn sha1(text: &str) -> Vec<u8> {
        HEXLOWER.decode(text.as_bytes()).unwrap()
    }

    fn found(kind: &str, body: &[u8]) -> Vec<String> {
        let links = links(&object(kind, body)).unwrap();
        let digest = |cid: &Cid| {
            assert_eq!((cid.codec(), cid.hash().code()), (0x78, 0x11));
            HEXLOWER.encode(cid.hash().digest())
        };
        links.iter().map(digest).collect()
    }

    #[test]
    fn every_kind_has_its_links() {
        assert!(found("blob", A.as_bytes()).is_empty());
        assert!(found("tree", b"").is_empty());
        let tree = [b"100644 a b\0", &sha1(B)[..], b"40000 c\0", &sha1(A)].concat();
        assert_eq!(found("tree", &tree), [B, A]);
        let commit = format!(
            "tree {A}\nparent {B}\nparent {A}\nauthor A <a> 1 +0000\ncommitter A <a> 1 +0000\n\
             mergetag object {B}\n type commit\n tag v1\n\nparent {B}\ntree of life\n"
        );
        assert_eq!(found("commit", commit.as_bytes()), [A, B, A, B]);
        let tag = format!("object {B}\ntype commit\ntag v1\n\nobject {A}\n");
        assert_eq!(found("tag", tag.as_bytes()), [B]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let short = [b"100644 a\0", &sha1(B)[..19]].concat();
        for object in [
            vec![],
            b"blob 1".to_vec(),
            b"blob 2\0a".to_vec(),
            b"blob -1\0".to_vec(),
            object("blub", b""),
            object("tree", b"100644 a"),
            object("tree", &[b"100644\0", &sha1(B)[..]].concat()),
            object("tree", &short),
            object("commit", b"tree 4b82\n"),
            object("commit", b"tree no hexadecimal at all, not of this len\n"),
        ] {
            assert!(links(&object).is_err(), "{object:?}");
        }
    }
}
