import type { CID } from 'multiformats/cid'
import { unlessAborted } from './abort.js'
import type { Core } from './core.js'
import { Gather } from './gather.js'
import type { Grant } from './grant.js'
import type { Info } from './info.js'
import { Problem } from './problem.js'
import { ReadGrants, life, type Place } from './read-grants.js'
import { IDENTITY } from './verify.js'

/** The most read grants of one request, and the most that are kept. */
const MOST_GRANTS = 4096
const MOST_KEPT = 65_536
/** The most bytes that a CID takes in a request. */
const CID_ROOM = 160

/** The way of blocks that are read. */
export class Downloads {
  readonly #core: Core
  readonly #kept = new ReadGrants(MOST_KEPT)
  #reads: Gather<CID, Place['batch']> | undefined
  #looks: Gather<CID, Looked> | undefined

  constructor (core: Core) {
    this.#core = core
  }

  /** A block, checked against its CID; `undefined` where there is none. */
  async get (cid: CID, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    signal?.throwIfAborted()
    if (cid.multihash.code === IDENTITY) {
      return cid.multihash.digest
    }
    const core = this.#core
    core.verifier.check(cid)
    const info = await core.info(signal)
    const leave = info.directReads ? core.leave() : undefined
    if (leave === undefined) {
      return this.#proxied(cid, info, signal)
    }
    let [again, renewed] = [false, false]
    for (;;) {
      const { grant, oneKey } = await this.#grant(cid, info, signal)
      const answer = await core.slots.run(signal, async () => core.s3.send(grant, { limit: info.limits.maxBlock, signal }))
      if (core.learn(leave, answer)) {
        return this.#proxied(cid, info, signal)
      }
      switch (answer.kind) {
        case 'done':
          if (await core.verifier.matches(cid, answer.body)) {
            return answer.body
          }
          if (again) {
            throw corrupt(cid)
          }
          // It may have gone wrong on the way.
          again = true
          break
        case 'absent':
          // It may lie at another key, which the service knows.
          return oneKey ? undefined : this.#proxied(cid, info, signal)
        case 'refused':
          if (!renewed && info.public === undefined) {
            this.#kept.forget(cid)
            renewed = true
            break
          }
          if (core.settings.direct === 'always') {
            throw refused(answer.status, answer.code)
          }
          // To those who may not list the bucket, S3 does not say that a block is absent.
          return this.#proxied(cid, info, signal)
        default:
          return this.#proxied(cid, info, signal)
      }
    }
  }

  /**
   * Whether there is such a block.
   *
   * A block that is asked for alone is asked of the service: one round trip in place of two. Those
   * that are asked for at once share a request for grants, and ask S3.
   */
  async has (cid: CID, signal: AbortSignal | undefined): Promise<boolean> {
    signal?.throwIfAborted()
    if (cid.multihash.code === IDENTITY) {
      return true
    }
    const core = this.#core
    core.verifier.check(cid)
    const info = await core.info(signal)
    const leave = info.directReads ? core.leave() : undefined
    if (leave === undefined) {
      return core.service.has(cid, signal)
    }
    let grant: Grant
    let oneKey: boolean
    const open = info.public
    if (open !== undefined) {
      grant = { ...open.read(0, cid), method: 'HEAD' }
      oneKey = open.oneKey
    } else {
      this.#looks ??= new Gather(room(info), async cids => this.#look(cids))
      const { result, index } = await unlessAborted(this.#looks.join(cid), signal)
      if (typeof result === 'boolean') {
        return result
      }
      grant = result.read(index, cid)
      oneKey = result.oneKey
    }
    const answer = await core.slots.run(signal, async () => core.s3.send(grant, { limit: 0, signal }))
    if (core.learn(leave, answer)) {
      return core.service.has(cid, signal)
    }
    switch (answer.kind) {
      case 'done': return true
      case 'absent':
      case 'unsaid':
        // The answer to a HEAD does not say what is not there: the block, or the bucket.
        return oneKey && core.bucketSeen ? false : core.service.has(cid, signal)
      default: return core.service.has(cid, signal)
    }
  }

  /** Gets the grant of a block that will be read, together with those of others. */
  async prepare (cid: CID, signal: AbortSignal | undefined): Promise<void> {
    if (cid.multihash.code === IDENTITY) {
      return
    }
    const info = await this.#core.info(signal)
    if (info.directReads && info.public === undefined && this.#core.hasLeave) {
      await this.#grant(cid, info, signal)
    }
  }

  async #grant (cid: CID, info: Info, signal: AbortSignal | undefined): Promise<{ grant: Grant, oneKey: boolean }> {
    const open = info.public
    if (open !== undefined) {
      return { grant: open.read(0, cid), oneKey: open.oneKey }
    }
    let place = this.#kept.find(cid, performance.now())
    if (place === undefined) {
      this.#reads ??= new Gather(room(info), async cids => this.#ask(cids, info))
      const { result, index } = await unlessAborted(this.#reads.join(cid), signal)
      place = { batch: result, index }
    }
    return { grant: place.batch.read(place.index, cid), oneKey: place.batch.oneKey }
  }

  async #ask (cids: readonly CID[], info: Info): Promise<Place['batch']> {
    const asked = performance.now()
    const batch = await this.#core.service.reads(cids, 'GET')
    this.#kept.keep(cids, batch, asked + life(batch, info.limits.readExpires, Date.now() / 1000))
    return batch
  }

  async #look (cids: readonly CID[]): Promise<Looked> {
    const [first] = cids
    return first !== undefined && cids.length === 1
      ? this.#core.service.has(first)
      : this.#core.service.reads(cids, 'HEAD')
  }

  async #proxied (cid: CID, info: Info, signal: AbortSignal | undefined): Promise<Uint8Array | undefined> {
    const { service, slots, verifier } = this.#core
    for (let again = false; ; again = true) {
      const bytes = await slots.run(signal, async () => service.get(cid, info.limits.maxBlock, signal))
      if (bytes === undefined || await verifier.matches(cid, bytes)) {
        return bytes
      }
      if (again) {
        throw corrupt(cid)
      }
    }
  }
}

/** The service's answer about a single block, or grants to ask S3 about several. */
type Looked = boolean | Place['batch']

/** The most CIDs of one request. */
function room ({ limits }: Info): number {
  return Math.max(1, Math.min(MOST_GRANTS, limits.maxBlocks, Math.floor(limits.maxBody / CID_ROOM)))
}

function corrupt (cid: CID): Problem {
  return new Problem('corrupt', `what lies there are not the bytes of ${cid.toString()}`)
}

/** S3 did not take a grant. */
export function refused (status: number, code: string): Problem {
  return new Problem('s3-refused', `S3 takes none of several grants: it answers ${status} ${code}`, { status })
}
