/** How files are cut and named: `ipfs add` as it has always been, or the CIDv1 profile of IPIP-499. */
export type Profile = 'unixfs-v0-2015' | 'unixfs-v1-2025'

/** Bytes of a leaf, for estimates. */
export const LEAF: Record<Profile, number> = { 'unixfs-v0-2015': 256 << 10, 'unixfs-v1-2025': 1 << 20 }
