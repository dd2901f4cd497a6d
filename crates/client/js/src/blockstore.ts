import type { Blockstore, InputPair, Pair } from 'interface-blockstore'
import { NotFoundError } from 'interface-store'
import type { CID } from 'multiformats/cid'
import { DirectClient, type CallOptions, type DirectOptions } from './client.js'
import { joined } from './fetch.js'
import { inOrder } from './in-order.js'
import { Problem } from './problem.js'
import { IDENTITY } from './verify.js'

/** How many blocks of a batch are under way, read or written. */
const AHEAD = 128
/** How many CIDs ahead of the reading grants are asked for. */
const GRANTS_AHEAD = 1024

/** What a block can be given as. */
type Bytes = InputPair['bytes']

/** The blocks of a service, as Helia keeps blocks. */
export class DirectBlockstore implements Blockstore {
  /** What it stands on: events, traffic, the service itself. */
  readonly client: DirectClient

  constructor (from: DirectOptions | DirectClient) {
    this.client = from instanceof DirectClient ? from : new DirectClient(from)
  }

  async has (cid: CID, options?: CallOptions): Promise<boolean> {
    return this.client.has(cid, options)
  }

  async put (cid: CID, bytes: Bytes, options?: CallOptions): Promise<CID> {
    options?.signal?.throwIfAborted()
    await this.client.put(cid, await this.#whole(bytes, options), options)
    return cid
  }

  async * putMany (source: Iterable<InputPair> | AsyncIterable<InputPair>, options?: CallOptions): AsyncGenerator<CID> {
    yield * this.#each(source, AHEAD, options, async ({ cid, bytes }, inner) => this.put(cid, bytes, inner))
  }

  async * get (cid: CID, options?: CallOptions): AsyncGenerator<Uint8Array> {
    yield await this.#found(cid, options)
  }

  /** The pairs, in the order of the CIDs. A block that cannot be had throws where its bytes are read. */
  async * getMany (source: Iterable<CID> | AsyncIterable<CID>, options?: CallOptions): AsyncGenerator<Pair> {
    const granted = this.#each(source, GRANTS_AHEAD, options, async (cid, inner) => {
      // Why there is no grant is told by the read.
      await this.client.prepare(cid, inner).catch(() => {})
      return cid
    })
    yield * this.#each(granted, AHEAD, options, async (cid, inner) => {
      const block = this.#found(cid, inner)
      await block.catch(() => {})
      return { cid, bytes: once(block) }
    })
  }

  async delete (cid: CID, options?: CallOptions): Promise<void> {
    options?.signal?.throwIfAborted()
    if (cid.multihash.code !== IDENTITY) {
      await this.client.service.delete(cid, options?.signal)
    }
  }

  async * deleteMany (source: Iterable<CID> | AsyncIterable<CID>, options?: CallOptions): AsyncGenerator<CID> {
    yield * this.#each(source, AHEAD, options, async (cid, inner) => {
      await this.delete(cid, inner)
      return cid
    })
  }

  /** All blocks, by `CIDv1` of codec raw. Their bytes are read when they are asked for. */
  async * getAll (options?: CallOptions): AsyncGenerator<Pair> {
    let cursor: string | undefined
    do {
      const page = await this.client.service.list(cursor, options?.signal)
      // The first that is read gets the grants of all.
      let prepared: Promise<unknown> | undefined
      const prepare = async (): Promise<void> => {
        prepared ??= Promise.allSettled(page.blocks.map(async ({ cid }) => this.client.prepare(cid, options)))
        await prepared
      }
      for (const { cid } of page.blocks) {
        yield { cid, bytes: this.#prepared(cid, prepare, options) }
      }
      cursor = page.cursor
    } while (cursor !== undefined)
  }

  async * #prepared (cid: CID, prepare: () => Promise<void>, options?: CallOptions): AsyncGenerator<Uint8Array> {
    await prepare()
    yield await this.#found(cid, options)
  }

  async #found (cid: CID, options?: CallOptions): Promise<Uint8Array> {
    const bytes = await this.client.get(cid, options)
    if (bytes === undefined) {
      throw new NotFoundError(`there is no block ${cid.toString()}`)
    }
    return bytes
  }

  /** A block in one piece. */
  async #whole (bytes: Bytes, options?: CallOptions): Promise<Uint8Array> {
    if (bytes instanceof Uint8Array) {
      return bytes
    }
    const { maxBlock } = (await this.client.info(options)).limits
    const chunks: Uint8Array[] = []
    let length = 0
    for await (const chunk of bytes) {
      options?.signal?.throwIfAborted()
      length += chunk.length
      if (length > maxBlock) {
        throw new Problem('too-large', `the block has more than ${maxBlock} bytes, the limit`)
      }
      chunks.push(chunk)
    }
    return joined(chunks, length)
  }

  /** Does `work` for many items in order. What is under way ends when the caller leaves. */
  async * #each<T, R> (
    source: Iterable<T> | AsyncIterable<T>,
    ahead: number,
    options: CallOptions | undefined,
    work: (item: T, options: { signal: AbortSignal }) => Promise<R>
  ): AsyncGenerator<R> {
    // One for each item: a signal with very many listeners is slow, and Node warns of it.
    const working = new Set<AbortController>()
    const abort = (): void => { working.forEach(controller => { controller.abort(options?.signal?.reason) }) }
    options?.signal?.throwIfAborted()
    options?.signal?.addEventListener('abort', abort)
    try {
      yield * inOrder(source, ahead, async item => {
        options?.signal?.throwIfAborted()
        const controller = new AbortController()
        working.add(controller)
        try {
          return await work(item, controller)
        } finally {
          working.delete(controller)
        }
      })
    } finally {
      options?.signal?.removeEventListener('abort', abort)
      abort()
    }
  }
}

async function * once (block: Promise<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield await block
}
