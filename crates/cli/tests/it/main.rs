//! The binary as scripts and people use it.

mod blocks;
mod dev_server;
mod room;
mod serve;
mod tokens;
mod usage;
