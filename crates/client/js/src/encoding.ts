import type { CID } from 'multiformats/cid'
import { CID as Cid } from 'multiformats/cid'
import { unfit } from './grant.js'
import { hex } from './text.js'

/** A codec of the kind of `@ipld/dag-cbor`. */
export interface DagCbor {
  encode(value: unknown): Uint8Array
  decode(bytes: Uint8Array): unknown
}

/** How bodies are encoded. */
export interface Encoding {
  readonly mediaType: string
  /** A CID as it stands in a body. */
  cid(cid: CID): unknown
  /** A digest as it stands in a body. */
  digest(digest: Uint8Array): unknown
  encode(value: unknown): Uint8Array
  decode(bytes: Uint8Array): unknown
  readCid(value: unknown): CID
}

export const JSON_ENCODING: Encoding = {
  mediaType: 'application/json',
  cid: cid => cid.toString(),
  digest: hex,
  encode: value => new TextEncoder().encode(JSON.stringify(value)),
  decode: bytes => readJson(bytes),
  readCid: value => readCid(() => typeof value === 'string' ? Cid.parse(value) : null)
}

/** DAG-CBOR by the codec given. */
export function dagCborEncoding (codec: DagCbor): Encoding {
  return {
    mediaType: 'application/vnd.ipld.dag-cbor',
    cid: cid => cid,
    digest: digest => digest,
    encode: value => codec.encode(value),
    decode: bytes => {
      const value = decoded(() => codec.decode(bytes))
      // Codecs take some of what is not canonical.
      const again = codec.encode(value)
      if (again.length !== bytes.length || again.some((byte, i) => byte !== bytes[i])) {
        throw unfit('DAG-CBOR that is not canonical')
      }
      return value
    },
    readCid: value => readCid(() => Cid.asCID(value))
  }
}

/** The value of JSON. */
export function readJson (bytes: Uint8Array): unknown {
  return decoded(() => JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown)
}

function decoded (decode: () => unknown): unknown {
  try {
    return decode()
  } catch {
    throw unfit('its encoding')
  }
}

function readCid (read: () => CID | null): CID {
  let cid: CID | null = null
  try {
    cid = read()
  } catch {}
  if (cid === null) {
    throw unfit('a CID')
  }
  return cid
}
