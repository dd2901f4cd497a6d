//! CID to object key and back, for every layout found in IPFS buckets
