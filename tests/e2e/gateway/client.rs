//! A service with a gateway, and a client of it that looks at every byte.

use cidbucket_blockstore::{Block, Cid};
use cidbucket_dag::car::{CarDecoder, CarLimits, Event};
use cidbucket_tests::service::text;
use cidbucket_tests::wire::Response;
use cidbucket_tests::{Service, Target, TokenKey};

use crate::tree::Tree;

/// A service whose shared blocks anybody may read.
pub(crate) struct Gateway {
    pub(crate) service: Service,
    pub(crate) key: TokenKey,
    token: String,
    _target: Target,
}

impl Gateway {
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::with(&[&["--public-reads"], args].concat())
    }

    /// One that is not public unless the arguments say so.
    pub(crate) fn with(args: &[&str]) -> Self {
        let target = Target::new();
        let key = TokenKey::new();
        let args = [&["--seal", &target.seal], args].concat();
        let service = Service::start(&target, &key.path(), &args);
        let token = key.issue(&["--sub", "writer", "--ops", "read,write,delete"]);
        Self {
            service,
            key,
            token,
            _target: target,
        }
    }

    /// Stores all blocks of a tree.
    pub(crate) fn put(&self, tree: &Tree) {
        for block in tree.blocks() {
            self.put_block(block);
        }
    }

    pub(crate) fn put_block(&self, block: &Block) {
        let path = format!("/v1/blocks/{}", block.cid());
        let answer = self
            .service
            .ask("PUT", &path, &self.token, block.data().to_vec());
        assert_eq!(answer.status, 204, "{}", text(&answer));
    }

    /// Asks for something. `target`: path and query.
    #[track_caller]
    pub(crate) fn ask(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> Response {
        let mut request = self.service.request(method, target, "", Vec::new());
        for (name, value) in headers {
            request.set_header(name, value);
        }
        let answer = request
            .send()
            .unwrap_or_else(|error| panic!("{target}: {error}"));
        // Whatever is answered: pages of all origins may read it, and Kubo can take its head.
        assert_eq!(
            answer.header("access-control-allow-origin"),
            "*",
            "{target}"
        );
        for name in ["Content-Range", "X-Ipfs-Path", "X-Ipfs-Roots"] {
            assert!(
                answer
                    .header("access-control-expose-headers")
                    .contains(name)
            );
        }
        assert!(
            answer.head.len() < 2048,
            "{} bytes: {}",
            answer.head.len(),
            answer.head
        );
        assert_eq!(
            answer.header("x-content-type-options"),
            "nosniff",
            "{target}"
        );
        assert_ne!(
            answer.status, 401,
            "Kubo takes it for a fault of the server"
        );
        answer
    }

    #[track_caller]
    pub(crate) fn get(&self, target: &str) -> Response {
        self.ask("GET", target, &[])
    }

    /// The status of an answer.
    #[track_caller]
    pub(crate) fn status(&self, method: &str, target: &str, headers: &[(&str, &str)]) -> u16 {
        self.ask(method, target, headers).status
    }
}

/// The roots and the blocks of a CAR, in order, each block checked against its CID.
#[track_caller]
pub(crate) fn car(answer: &Response) -> (Vec<Cid>, Vec<Cid>) {
    assert!(answer.whole, "cut off: {}", text(answer));
    let (roots, blocks) = car_begun(&answer.body);
    let mut decoder = CarDecoder::new(CarLimits::default());
    decoder.feed(answer.body.clone().into());
    while decoder.next().expect("a CAR").is_some() {}
    decoder.finish().expect("a whole CAR");
    (roots, blocks)
}

/// The same of a CAR that may not be whole.
#[track_caller]
pub(crate) fn car_begun(bytes: &[u8]) -> (Vec<Cid>, Vec<Cid>) {
    let mut decoder = CarDecoder::new(CarLimits::default());
    decoder.feed(bytes.to_vec().into());
    let (mut roots, mut blocks) = (Vec::new(), Vec::new());
    while let Some(event) = decoder.next().expect("a CAR") {
        match event {
            Event::Header(header) => roots = header.roots,
            Event::Block(block) => blocks.push(*block.cid()),
        }
    }
    (roots, blocks)
}
