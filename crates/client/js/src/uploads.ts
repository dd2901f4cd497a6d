import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { unlessAborted } from './abort.js'
import { isSealable } from './batch.js'
import type { Core } from './core.js'
import { refused } from './downloads.js'
import type { Granted } from './granted.js'
import type { Info } from './info.js'
import { Problem } from './problem.js'
import { IDENTITY } from './verify.js'

/** The most bytes of blocks under one lease. */
const BATCH_BYTES = 64 << 20
/** Batches under way: of one the last uploads run, while the next gets its grants. */
const BATCHES = 2
/** How many leases may bring nothing. */
const MOST_FRUITLESS = 4
/** The most bytes that a block takes in a request. */
const BLOCK_ROOM = 320
const RAW = 0x55
const SHA2_256 = 0x12

/**
 * The way of blocks that are written.
 *
 * Blocks that are put at once share a lease. What comes while a batch is under way makes the next,
 * which begins when all uploads of the one before have begun. So no block waits for others to come,
 * and batches grow to what the network is slow for.
 */
export class Uploads {
  readonly #core: Core
  readonly #waiting = new Map<string, Entry>()
  #running = 0
  #begun = true
  #scheduled = false

  constructor (core: Core) {
    this.#core = core
  }

  /** Stores a block: it returns once S3 has it and its lease is completed. */
  async put (cid: CID, bytes: Uint8Array, signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted()
    if (cid.multihash.code === IDENTITY) {
      return
    }
    const { verifier } = this.#core
    verifier.check(cid)
    const info = await this.#core.info(signal)
    const { limits, writes } = info
    if (writes === 'none') {
      throw new Problem('denied', 'this service takes no blocks')
    }
    if (bytes.length > limits.maxBlock) {
      throw new Problem('too-large', `the block has ${bytes.length} bytes, the limit is ${limits.maxBlock}`)
    }
    // What S3 can check, where that is not in the CID.
    const sha256 = isSealable(cid) ? undefined : await verifier.sha256(bytes)

    const key = cid.toString()
    let entry = this.#waiting.get(key)
    if (entry === undefined) {
      entry = new Entry(cid, bytes, sha256)
      this.#waiting.set(key, entry)
    }
    this.#schedule(info)
    await entry.wait(signal)
  }

  /** Starts a batch at the end of this turn, with all that is put in it. */
  #schedule (info: Info): void {
    if (!this.#scheduled) {
      this.#scheduled = true
      queueMicrotask(() => {
        this.#scheduled = false
        this.#start(info)
      })
    }
  }

  #start (info: Info): void {
    if (this.#waiting.size === 0 || (this.#running > 0 && (this.#running >= BATCHES || !this.#begun))) {
      return
    }
    this.#running++
    this.#begun = false
    void this.#run(info).finally(() => {
      this.#running--
      this.#begun ||= this.#running === 0
      this.#start(info)
    })
  }

  async #run (info: Info): Promise<void> {
    const entries = this.#take(info)
    try {
      await new Batch(this.#core, info, entries, () => {
        this.#begun = true
        this.#start(info)
      }).run()
    } catch (error) {
      for (const entry of entries) {
        entry.end(error)
      }
    }
  }

  /** As many of those that wait as one lease is for. */
  #take ({ limits }: Info): Entry[] {
    const most = Math.max(1, Math.min(
      this.#core.settings.batchBlocks, limits.maxBlocks, Math.floor(limits.maxBody / BLOCK_ROOM)))
    const entries: Entry[] = []
    let bytes = 0
    for (const [key, entry] of this.#waiting) {
      bytes += entry.bytes.length
      if (entries.length >= most || (entries.length > 0 && bytes > BATCH_BYTES)) {
        break
      }
      this.#waiting.delete(key)
      if (!entry.ended) {
        entries.push(entry)
      }
    }
    return entries
  }
}

/** A block on its way, and those who wait for it. */
class Entry {
  /** It lies at its key. */
  there = false
  /** How many grants S3 did not take, though they should hold. */
  refusals = 0
  readonly #controller = new AbortController()
  readonly #outcome: Promise<void>
  #resolve: () => void = () => {}
  #reject: (reason: unknown) => void = () => {}
  #waiters = 0
  #ended = false

  constructor (readonly cid: CID, readonly bytes: Uint8Array, readonly sha256: Uint8Array<ArrayBuffer> | undefined) {
    this.#outcome = new Promise((resolve, reject) => {
      this.#resolve = resolve
      this.#reject = reject
    })
    this.#outcome.catch(() => {})
  }

  get ended (): boolean {
    return this.#ended
  }

  /** Ends when nobody waits any more. */
  get signal (): AbortSignal {
    return this.#controller.signal
  }

  async wait (signal: AbortSignal | undefined): Promise<void> {
    this.#waiters++
    try {
      await unlessAborted(this.#outcome, signal)
    } finally {
      this.#waiters--
      if (this.#waiters === 0 && !this.#ended) {
        this.end(signal?.reason)
        this.#controller.abort(signal?.reason)
      }
    }
  }

  /** Tells those who wait: it is stored, or why not. */
  end (error?: unknown): void {
    this.#ended = true
    if (error === undefined) {
      this.#resolve()
    } else {
      this.#reject(error)
    }
  }
}

/** Blocks that are stored together, by one lease or, where some of them fail, by several. */
class Batch {
  readonly #core: Core
  readonly #info: Info
  readonly #entries: readonly Entry[]
  readonly #begun: () => void

  /** @param begun hears when all uploads have begun */
  constructor (core: Core, info: Info, entries: readonly Entry[], begun: () => void) {
    this.#core = core
    this.#info = info
    this.#entries = entries
    this.#begun = begun
  }

  async run (): Promise<void> {
    const { settings, hasLeave } = this.#core
    const [first] = this.#entries
    const alone = first !== undefined && this.#entries.length === 1 && first.bytes.length <= settings.smallBlock &&
      settings.direct === 'auto'
    // One round trip in place of three; and where nothing can go straight to S3.
    if (alone || this.#info.writes !== 'direct' || !hasLeave) {
      this.#begun()
      await Promise.all(this.#entries.map(async entry => {
        await this.#attempt(entry, async () => this.#proxied(entry))
        if (entry.there && !entry.ended) {
          entry.end()
        }
      }))
      return
    }
    for (let fruitless = 0; fruitless < MOST_FRUITLESS;) {
      const before = this.#progress()
      const lease = await this.#lease()
      if (lease === undefined) {
        return
      }
      await this.#upload(lease, lease.members.keys())
      await this.#settle(lease)
      fruitless = this.#progress() > before ? 0 : fruitless + 1
    }
    for (const entry of this.#left()) {
      entry.end(new Problem('unavailable', 'the leases ended before the uploads did'))
    }
  }

  /** How far the blocks are: it grows with every step of any of them. */
  #progress (): number {
    return this.#entries.reduce((sum, entry) => sum + Number(entry.there) + 2 * Number(entry.ended), 0)
  }

  #left (): Entry[] {
    return this.#entries.filter(entry => !entry.ended)
  }

  /** A lease for the blocks that are left. Those that the service refuses end with that. */
  async #lease (): Promise<Lease | undefined> {
    for (;;) {
      const members = this.#left()
      if (members.length === 0) {
        return undefined
      }
      try {
        const granted = await this.#core.service.writes(
          members.map(({ cid, bytes, sha256 }) => ({ cid, size: bytes.length, sha256 })))
        return { granted, members }
      } catch (error) {
        const refused = error instanceof Problem && error.index !== undefined ? members[error.index] : undefined
        for (const entry of refused === undefined ? members : [refused]) {
          entry.end(error)
        }
      }
    }
  }

  async #upload (lease: Lease, indices: Iterable<number>): Promise<void> {
    const uploads = []
    for (const index of indices) {
      const entry = lease.members[index]
      if (entry !== undefined) {
        uploads.push(this.#attempt(entry, async () => this.#send(lease, index, entry)))
      }
    }
    // Those in line for a slot have their place; the next batch comes after them.
    this.#begun()
    await Promise.all(uploads)
  }

  /** An attempt whose failure is the block's own. */
  async #attempt (entry: Entry, what: () => Promise<void>): Promise<void> {
    try {
      await what()
    } catch (error) {
      if (!entry.ended) {
        entry.end(error)
      }
    }
  }

  async #send ({ granted }: Lease, index: number, entry: Entry): Promise<void> {
    const way = granted.ways[index]
    if (way === 'stored' || (entry.there && way !== 'staged')) {
      entry.there = true
      return
    }
    if (way === 'proxied') {
      await this.#proxied(entry)
      return
    }
    const leave = this.#core.leave()
    if (leave === undefined) {
      await this.#instead(entry, way === 'staged')
      return
    }
    const { cid, bytes, signal } = entry
    const grant = granted.grant(index, {
      cid: entry.sha256 === undefined ? cid : CID.createV1(RAW, Digest.create(SHA2_256, entry.sha256)),
      size: bytes.length
    })
    const { slots, s3 } = this.#core
    const answer = await slots.run(signal, async () => s3.send(grant, {
      body: bytes, limit: 0, signal, onSent: this.#sent(entry, 's3')
    }))
    if (this.#core.learn(leave, answer)) {
      await this.#instead(entry, way === 'staged')
    } else if (answer.kind === 'done' || answer.kind === 'stored') {
      entry.there = true
    } else {
      if (!await this.#core.verifier.matches(cid, bytes)) {
        throw new Problem('corrupt', `these are not the bytes of ${cid.toString()}`)
      }
      // A grant that ended is replaced. One that should hold is, too, but once.
      if (granted.expires > Date.now() / 1000 && ++entry.refusals > 1) {
        const { status, code } = answer.kind === 'refused' ? answer : { status: 404, code: '' }
        this.#core.fallBack(leave, refused(status, code))
        await this.#instead(entry, way === 'staged')
      }
    }
  }

  /** Stores a block that was to be sent to S3 through the service. */
  async #instead (entry: Entry, staged: boolean): Promise<void> {
    await this.#proxied(entry)
    if (staged && !entry.ended) {
      // It lies at its key and not where it was to be staged: the lease lacks it.
      entry.end()
    }
  }

  async #proxied (entry: Entry): Promise<void> {
    const { slots, service } = this.#core
    const { cid, bytes, signal } = entry
    await slots.run(signal, async () => service.put(cid, bytes, signal, this.#sent(entry, 'service')))
    entry.there = true
  }

  /** Who hears how far an upload is, if anybody does. */
  #sent ({ cid, bytes }: Entry, side: 's3' | 'service'): ((sent: number) => void) | undefined {
    const { events } = this.#core
    return events.has('progress')
      ? sent => { events.emit('progress', { cid, sent, size: bytes.length, side }) }
      : undefined
  }

  /** Completes a lease, if all its blocks are there. Else, it is of no use to them. */
  async #settle ({ granted, members }: Lease): Promise<void> {
    for (let again = true; members.every(entry => entry.there && !entry.ended); again = false) {
      try {
        await this.#core.service.complete(granted.lease)
        for (const entry of members) {
          entry.end()
        }
        return
      } catch (error) {
        if (error instanceof Problem && error.code === 'no-such-lease') {
          return
        }
        const lacking = error instanceof Problem && error.code === 'incomplete'
          ? [...new Set([...error.missing, ...error.wrong])].filter(index => index < members.length)
          : []
        if (lacking.length === 0) {
          for (const entry of members) {
            entry.end(error)
          }
          return
        }
        for (const index of lacking) {
          const entry = members[index]
          if (entry !== undefined) {
            entry.there = false
            if (!again) {
              entry.end(error)
            }
          }
        }
        if (again) {
          await this.#upload({ granted, members }, lacking)
        }
      }
    }
  }
}

/** A lease, and the blocks it is for. */
interface Lease {
  readonly granted: Granted
  readonly members: readonly Entry[]
}
