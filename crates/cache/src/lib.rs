//! A byte-bounded cache of hot blocks over any block store
