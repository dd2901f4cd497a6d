//! What the end-to-end tests share: how to start what they test against.
