//! Reading DAGs that the tests build by themselves, from the specification's words and without the
//! crate's own writer.

mod bytes;
mod directories;
mod exports;
mod fixtures;
mod ground;
mod paths;
mod speed;
