//! The wire form of go-ipfs-cmds, without I/O where it need not be.

pub(crate) mod answer;
pub(crate) mod authorization;
pub(crate) mod browser;
pub(crate) mod call;
pub(crate) mod commands;
pub(crate) mod duration;
pub(crate) mod emitter;
pub(crate) mod failure;
pub(crate) mod options;
pub(crate) mod request_body;
pub(crate) mod upload;
