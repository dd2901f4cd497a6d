//! The cache as a store among stores: the contract, sharing of requests, consistency, batches,
//! bounds.

mod batches;
mod bounds;
mod consistency;
mod contract;
mod gate;
mod sharing;
