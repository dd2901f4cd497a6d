import { Batch, type Upload } from './batch.js'
import { isCount, readGrant, record, unfit, type Grant } from './grant.js'

/** Which way a block goes to the store. */
export type Way = 'direct' | 'stored' | 'staged' | 'proxied'

/** The grants for some blocks, and the lease under which they are (`POST /v1/writes`). */
export interface Granted {
  /** The lease to complete. */
  readonly lease: string
  /** When it ends unless completed, in seconds since 1970. */
  readonly expires: number
  /** The way of each block, in the order of the request. */
  readonly ways: readonly Way[]
  /**
   * The grant of the block at `index`, whose way is `direct` or `staged`. Of a staged block, `upload`
   * has the raw sha2-256 CID.
   */
  grant(index: number, upload: Upload): Grant
}

/** Reads the answer to a request for `blocks` blocks. */
export function readGranted (value: unknown, blocks: number): Granted {
  const wire = record(value, 'the grants')
  const { lease, expires } = wire
  if (typeof lease !== 'string' || lease === '' || lease.length > 1024) {
    throw unfit('the lease')
  }
  if (!isCount(expires)) {
    throw unfit("the lease's end")
  }
  const ways = Array<Way>(blocks).fill('direct')
  for (const [name, way] of [['stored', 'stored'], ['staged_blocks', 'staged'], ['proxied', 'proxied']] as const) {
    let last = -1
    for (const index of list(wire[name])) {
      if (!isCount(index) || index <= last || ways[index] !== 'direct') {
        throw unfit(`the list ${name}`)
      }
      ways[index] = way
      last = index
    }
  }
  // The place of each block among those of its way.
  const places: number[] = []
  const counts = { direct: 0, stored: 0, staged: 0, proxied: 0 }
  for (const way of ways) {
    places.push(counts[way]++)
  }
  const grants = {
    direct: readGrants(wire['direct'], wire['direct_grants'], counts.direct),
    staged: readGrants(wire['staged'], wire['staged_grants'], counts.staged)
  }
  return {
    lease,
    expires,
    ways,
    grant: (index, upload) => {
      const [way, place] = [ways[index], places[index]]
      if ((way !== 'direct' && way !== 'staged') || place === undefined) {
        throw unfit('the way of a block')
      }
      return grants[way](place, upload)
    }
  }
}

type Grants = (place: number, upload: Upload) => Grant

/** As many grants as needed, by a batch or as a list. */
function readGrants (batch: unknown, singles: unknown, needed: number): Grants {
  if (batch !== undefined) {
    const read = Batch.from(batch)
    if (read.method !== 'PUT' || read.blocks !== needed) {
      throw unfit('the number of grants')
    }
    return (place, upload) => read.write(place, upload)
  }
  const grants = list(singles).map(readGrant)
  if (grants.length !== needed || grants.some(grant => grant.method !== 'PUT')) {
    throw unfit('the number of grants')
  }
  return place => {
    const grant = grants[place]
    if (grant === undefined) {
      throw unfit('the number of grants')
    }
    return grant
  }
}

function list (value: unknown): readonly unknown[] {
  if (value === undefined) {
    return []
  }
  if (!Array.isArray(value)) {
    throw unfit('a list')
  }
  return value
}
