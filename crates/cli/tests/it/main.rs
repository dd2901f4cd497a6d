//! The binary as scripts and people use it.

mod blocks;
mod room;
mod usage;
