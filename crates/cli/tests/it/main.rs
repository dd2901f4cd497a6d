//! The binary as scripts and people use it.

mod add;
mod blocks;
mod content;
mod dev_server;
mod kubo;
mod room;
mod serve;
mod tokens;
mod usage;
