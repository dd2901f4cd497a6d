import type { CID } from 'multiformats/cid'
import type { Batch } from './batch.js'

/** A grant to read: a batch, and the place in it. */
export interface Place {
  readonly batch: Batch
  readonly index: number
}

/** Read grants that can be used again, until shortly before they end. */
export class ReadGrants {
  readonly #places = new Map<string, Place & { until: number }>()
  readonly #most: number

  /** @param most how many are kept */
  constructor (most: number) {
    this.#most = most
  }

  /** The grant of a block. @param now in milliseconds, as everywhere here */
  find (cid: CID, now: number): Place | undefined {
    const place = this.#places.get(cid.toString())
    return place !== undefined && now < place.until ? place : undefined
  }

  keep (cids: readonly CID[], batch: Batch, until: number): void {
    for (const [index, cid] of cids.entries()) {
      const key = cid.toString()
      this.#places.delete(key)
      this.#places.set(key, { batch, index, until })
    }
    for (const key of this.#places.keys()) {
      if (this.#places.size <= this.#most) {
        break
      }
      this.#places.delete(key)
    }
  }

  forget (cid: CID): void {
    this.#places.delete(cid.toString())
  }
}

/**
 * For how many milliseconds the grants of a batch can be used, counted from when it was asked for.
 *
 * They end by the service's clock, and ours may be wrong: if it is ahead, this is too short, which
 * costs requests; if it is behind, what the service promised limits it. The last tenth is left out,
 * since the way to S3 takes time too.
 *
 * @param promised how long grants live, in seconds
 * @param unix the time by our clock, in seconds since 1970
 */
export function life (batch: Batch, promised: number, unix: number): number {
  const left = Math.max(0, (batch.expires ?? 0) - unix)
  return Math.min(left, promised) * 900
}
