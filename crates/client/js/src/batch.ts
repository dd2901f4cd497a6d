import type { CID } from 'multiformats/cid'
import { readBatch, type BatchParts, type Seal } from './batch-form.js'
import type { Grant } from './grant.js'
import { Problem } from './problem.js'
import { base64, hex, utf8 } from './text.js'

/** A block that is to be written. */
export interface Upload {
  readonly cid: CID
  /** Its exact size in bytes. */
  readonly size: number
  /** Its MD5, which the seal `checksum-md5` wants. */
  readonly md5?: Uint8Array | undefined
}

/**
 * Grants for many blocks, 32 bytes each (docs/grants.md): what their URLs have in common, and the
 * signature of each. Pure: nothing is sent from here.
 */
export class Batch {
  readonly #parts: BatchParts
  /** What every URL begins with. */
  readonly #start: string

  private constructor (parts: BatchParts) {
    this.#parts = parts
    this.#start = parts.base + encodePath(parts.prefix === '' ? '' : `${parts.prefix}/`)
  }

  /**
   * Reads a batch that came over the network: the value of its JSON, or of its DAG-CBOR.
   *
   * @throws Problem `protocol` where it is anything but a batch.
   */
  static from (value: unknown): Batch {
    return new Batch(readBatch(value))
  }

  get method (): 'GET' | 'HEAD' | 'PUT' {
    return this.#parts.method
  }

  get seal (): Seal | undefined {
    return this.#parts.seal
  }

  /** URL of the bucket, up to where keys begin. */
  get base (): string {
    return this.#parts.base
  }

  /** Whether a block has one key only: then S3's "not there" is an answer. */
  get oneKey (): boolean {
    return this.#parts.layout.oneKey
  }

  /** Seconds since 1970 from which S3 may refuse the grants; `null` for a public bucket. */
  get expires (): number | null {
    return this.#parts.signed?.expires ?? null
  }

  /** The number of blocks granted; `undefined` for a public bucket, where any block may be read. */
  get blocks (): number | undefined {
    const signatures = this.#parts.signed?.signatures
    return signatures === undefined ? undefined : signatures.length / 32
  }

  /** Assembles the grant to read the block that stood at `index` of what was asked for. */
  read (index: number, cid: CID): Grant {
    if (this.#parts.seal !== undefined) {
      throw new Problem('invalid', 'this batch grants writes')
    }
    return this.#assemble(index, cid, this.#parts.headers)
  }

  /** Assembles the grant to write the block that stood at `index` of what was asked for. */
  write (index: number, upload: Upload): Grant {
    const { seal, headers } = this.#parts
    if (seal === undefined) {
      throw new Problem('invalid', 'this batch grants reads')
    }
    return this.#assemble(index, upload.cid, { ...headers, ...sealHeaders(seal, upload) })
  }

  #assemble (index: number, cid: CID, headers: Readonly<Record<string, string>>): Grant {
    if (cid.multihash.code === IDENTITY) {
      throw new Problem('invalid', 'an identity CID holds its block and has no grant')
    }
    const { method, layout, signed } = this.#parts
    let url = this.#start + encodePath(layout.key(cid))
    if (signed !== undefined) {
      const signature = signed.signatures.subarray(32 * index, 32 * index + 32)
      if (signature.length !== 32) {
        throw new Problem('invalid', `the batch has no grant number ${index}`)
      }
      url += `?${signed.query}&X-Amz-Signature=${hex(signature)}`
    }
    return { method, url, headers, expires: signed?.expires ?? null }
  }
}

const IDENTITY = 0x00
const SHA2_256 = 0x12

/** Whether S3 can check a block of this CID: it has a full sha2-256 digest. */
export function isSealable (cid: CID): boolean {
  return cid.multihash.code === SHA2_256 && cid.multihash.digest.length === 32
}

/** The headers by which a seal binds the block. */
function sealHeaders (seal: Seal, { cid, size, md5 }: Upload): Record<string, string> {
  if (!isSealable(cid)) {
    throw new Problem('invalid', 'only blocks with a full sha2-256 digest have write grants')
  }
  const { digest } = cid.multihash
  const headers: Record<string, string> = { 'content-length': String(size) }
  if (seal === 'payload-hash') {
    headers['x-amz-content-sha256'] = hex(digest)
  } else {
    headers['x-amz-checksum-sha256'] = base64(digest)
  }
  if (seal === 'checksum-md5') {
    if (md5?.length !== 16) {
      throw new Problem('invalid', 'the seal checksum-md5 wants the MD5 of the block')
    }
    headers['content-md5'] = base64(md5)
  }
  return headers
}

/** The path of a key, encoded as it is signed. */
function encodePath (key: string): string {
  if (/^[\w.~/-]*$/.test(key)) {
    return key
  }
  let path = ''
  for (const byte of utf8(key)) {
    const character = String.fromCharCode(byte)
    path += /[\w.~/-]/.test(character) ? character : `%${hex(Uint8Array.of(byte)).toUpperCase()}`
  }
  return path
}
