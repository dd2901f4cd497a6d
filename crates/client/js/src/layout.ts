import { base32 } from 'multiformats/bases/base32'
import type { MultihashDigest } from 'multiformats'
import { CID } from 'multiformats/cid'

/** How a bucket names its blocks. `K` below is the base32 text of the multihash, upper case. */
export interface Layout {
  readonly name: string
  /** Whether a block has one key only. Where not, that nothing lies at {@link key} says little. */
  readonly oneKey: boolean
  /** The block's key, without the store's prefix. */
  key(cid: CID): string
}

/** The layout of that name, as the crate `cidbucket-layout` lists them; `undefined` if it has none. */
export function layout (name: string): Layout | undefined {
  const one = (key: (k: string) => string): Layout =>
    ({ name, oneKey: true, key: cid => key(text(cid.multihash)) })
  const several = (key: (cid: CID) => string): Layout => ({ name, oneKey: false, key })

  switch (name) {
    case 'kubo': return one(k => k)
    case 'kubo-unmounted': return one(k => `blocks/${k}`)
    case '3box-identity': return one(k => `${k}/${k}`)
    case 'flatfs': return one(k => `${beforeLast(k, 2)}/${k}.data`)
    case 'flatfs-bare': return one(k => `${beforeLast(k, 2)}/${k}`)
    case 'helia': return one(k => `${last(k, 2)}/B${k}.data`)
    case 'helia-flat': return one(k => `B${k}.data`)
    case 'piri': return one(k => `${beforeLast(k, 2)}/${k}.data`.toLowerCase())
    case 'jclab-suffix': return several(cid => `${text(cid.multihash)}/data`)
    case 'jclab-next-to-last-2': return several(cid => {
      const k = text(cid.multihash)
      return `${beforeLast(k, 2)}/${k}`
    })
    case 'peergos': return several(ofCid)
  }
  const user = /^peergos:([a-z0-9-]{1,32})$/.exec(name)?.[1]
  if (user !== undefined) {
    return several(cid => `${user}/${ofCid(cid)}`)
  }
  const [, shard, digits] = /^3box-(prefix|suffix|next-to-last)-([1-9]|[12]\d|3[0-2])$/.exec(name) ?? []
  const length = Number(digits)
  switch (shard) {
    case 'prefix': return one(k => `${k.slice(0, length).padEnd(length, '_')}/${k}`)
    case 'suffix': return one(k => `${last(k, length)}/${k}`)
    case 'next-to-last': return one(k => `${beforeLast(k, length)}/${k}`)
  }
  return undefined
}

function text (multihash: MultihashDigest): string {
  return base32.baseEncode(multihash.bytes).toUpperCase()
}

function last (k: string, length: number): string {
  return k.slice(-length).padStart(length, '_')
}

function beforeLast (k: string, length: number): string {
  return last(k.slice(0, -1), length)
}

const RAW = 0x55
const DAG_PB = 0x70
const DAG_CBOR = 0x71

/** Peergos' key: the whole CID, as `CIDv1`, and as raw where it could not be found again otherwise. */
function ofCid (cid: CID): string {
  const codec = [RAW, DAG_CBOR, DAG_PB].includes(cid.code) ? cid.code : RAW
  return base32.baseEncode(CID.createV1(codec, cid.multihash).bytes).toUpperCase()
}
