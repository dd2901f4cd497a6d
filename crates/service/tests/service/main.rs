//! The service over the embedded S3 server, and over other stores.

mod blocks;
mod completion;
mod errors;
mod fixture;
mod gateway;
mod isolation;
mod listing;
mod reads;
mod secrets;
mod stores;
mod wire;
mod writes;
