//! The server as its clients see it: over TCP, with our own signer and nothing else in between.

mod access;
mod client;
mod conditions;
mod cors;
mod durability;
mod faults;
mod integrity;
mod listing;
mod logs;
mod multipart;
mod objects;
mod presigned;
mod tls;
