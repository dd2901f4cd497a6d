//! What the benches share.
//!
//! Each bench is a bin that prints a table of ratios from one run: this kind of figure survives a
//! noisy machine, single times do not. `docs/performance.md` names the command of every figure.

pub mod alloc;
pub mod memory_server;
pub mod relay;
pub mod running;
