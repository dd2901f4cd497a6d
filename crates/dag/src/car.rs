//! CAR files: a header with roots, then sections of CID and block.
//!
//! - [`CarDecoder`]: bytes in, [`Event`]s out; `CARv1` and `CARv2`. Every block was checked against
//!   its section's CID.
//! - [`header`] and [`section`]: a `CARv1`, piece by piece.
//! - [`read`] and [`write`](fn@write): the same over streams.
//! - [`CarLimits`] and [`CarError`]: what is refused, and why.
//!
//! The specifications are <https://ipld.io/specs/transport/car/carv1/> and
//! <https://ipld.io/specs/transport/car/carv2/>.

mod decoder;
mod error;
mod header;
mod input;
mod limits;
mod section;
mod stream;
mod v2;

pub use decoder::{CarDecoder, Event};
pub use error::CarError;
pub use header::{CarHeader, header};
pub use limits::CarLimits;
pub use section::section;
pub use stream::{ReadError, read, write};
