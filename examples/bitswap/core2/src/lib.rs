//! What `core2` 0.4 is with its feature `std`. Every version of the real one was withdrawn from
//! crates.io, and a dependency of `beetswap` 0.5 still asks for it.

pub use std::{error, io};
