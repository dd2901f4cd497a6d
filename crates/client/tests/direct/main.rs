//! The store against a service of the tests' own, over the embedded S3: what it promises, what it
//! costs, and what it makes of everything that goes wrong.

mod contract;
mod cost;
mod fake;
mod trouble;
