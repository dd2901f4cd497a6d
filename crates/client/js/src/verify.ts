import type { CID } from 'multiformats/cid'
import type { MultihashHasher } from 'multiformats'
import { Problem } from './problem.js'

/** The code of the hash that holds the block itself. */
export const IDENTITY = 0x00
const WEB_CRYPTO: ReadonlyMap<number, string> = new Map([[0x12, 'SHA-256'], [0x13, 'SHA-512']])
/** A digest cut shorter than this proves too little. */
const SHORTEST_DIGEST = 20

/** Checks blocks against their CIDs. */
export class Verifier {
  readonly #hashers: ReadonlyMap<number, MultihashHasher>

  constructor (hashers: readonly MultihashHasher[] = []) {
    this.#hashers = new Map(hashers.map(hasher => [hasher.code, hasher]))
  }

  /**
   * Refuses CIDs whose blocks could not be checked.
   *
   * @throws Problem `unknown-hash` or `invalid`.
   */
  check (cid: CID): void {
    const { code, digest } = cid.multihash
    if (code === IDENTITY) {
      return
    }
    if (!this.#hashers.has(code) && !WEB_CRYPTO.has(code)) {
      throw new Problem('unknown-hash', `no hasher was given for multihash code 0x${code.toString(16)}`)
    }
    if (digest.length < SHORTEST_DIGEST) {
      throw new Problem('invalid', `a digest of ${digest.length} bytes proves too little`)
    }
  }

  /** Whether these are the bytes of that CID. */
  async matches (cid: CID, bytes: Uint8Array): Promise<boolean> {
    this.check(cid)
    const { code, digest } = cid.multihash
    const computed = code === IDENTITY ? bytes : await this.#digest(code, bytes)
    // A digest may be cut short; an identity must be whole.
    return digest.length <= computed.length &&
      (code !== IDENTITY || digest.length === computed.length) &&
      digest.every((byte, i) => byte === computed[i])
  }

  /** The SHA-256 of a block. */
  async sha256 (bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
    return owned(await this.#digest(0x12, bytes))
  }

  async #digest (code: number, bytes: Uint8Array): Promise<Uint8Array> {
    const given = this.#hashers.get(code)
    if (given !== undefined) {
      return (await given.digest(bytes)).digest
    }
    // Pages that came by plain http have no `subtle`.
    const subtle: SubtleCrypto | undefined = globalThis.crypto.subtle
    if (subtle === undefined) {
      throw new Problem('insecure-context',
        'this page has no WebCrypto: load it by https or from localhost, or give a hasher')
    }
    return new Uint8Array(await subtle.digest(WEB_CRYPTO.get(code) ?? '', owned(bytes)))
  }
}

/** The same bytes in memory that no other thread can change, as the platform's interfaces want them. */
export function owned (bytes: Uint8Array): Uint8Array<ArrayBuffer> {
  return bytes.buffer instanceof ArrayBuffer ? bytes as Uint8Array<ArrayBuffer> : bytes.slice()
}
