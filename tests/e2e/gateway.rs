//! The gateway at `/ipfs/`, as its clients see it.
//!
//! - `conformance`: the cases of gateway-conformance for trustless gateways, under the names that
//!   they have there; over DAGs that are built here and, where they are at hand, over that suite's
//!   own fixtures.
//! - `rules`: the rules of `docs/gateway.md` beyond those.
//! - `people`: files, directories, and what keeps them from doing harm.

#[path = "gateway/client.rs"]
mod client;
#[path = "gateway/conformance.rs"]
mod conformance;
#[path = "gateway/people.rs"]
mod people;
#[path = "gateway/rules.rs"]
mod rules;
#[path = "gateway/tree.rs"]
mod tree;
