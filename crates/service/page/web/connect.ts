// The service by `@cidbucket/client`.

import { DirectClient } from '@cidbucket/client'
import * as dagCbor from '@ipld/dag-cbor'
import type { CID } from 'multiformats/cid'
import type { Block, PutEvents, Service, ServiceEvents, Way } from './service.ts'

/** What may be under way at once. Blocks that are put together share a lease, so it is not too little. */
const MOST_BLOCKS = 1024
const MOST_BYTES = 64 << 20

/** A service at `url`, asked with the token that `token` gives each time. */
export function connect(url: string, token: () => string | undefined, events: ServiceEvents): Service {
    const client = new DirectClient({ url, token, batchBlocks: MOST_BLOCKS, dagCbor })
    let detour = false
    client.on('traffic', events.traffic)
    client.on('fallback', ({ problem }) => {
        detour = true
        events.fallback(problem)
    })
    client.on('reached', () => {
        detour = false
        events.reached()
    })
    return {
        info: async () => client.info(),
        put: async (blocks, heard, signal) => putAll(client, blocks, heard, signal),
        async get(cid, signal) {
            const bytes = await client.get(cid, { signal })
            if (bytes === undefined) throw new BlockAbsent(cid)
            const { directReads } = await client.info()
            return { bytes, way: directReads && !detour ? 'direct' : 'proxied' }
        },
        prepare(cids) {
            // Why there is no grant is told by the read.
            for (const cid of cids) client.prepare(cid).catch(() => {})
        },
        async links(cids) {
            const info = await client.info()
            if (!info.directReads || cids.length === 0) return cids.map(() => undefined)
            const batch = info.public ?? (await client.service.reads(cids, 'GET'))
            return cids.map((cid, index) => batch.read(index, cid).url)
        }
    }
}

/** There is no such block, or none that the token covers. */
class BlockAbsent extends Error {
    override name = 'NotFoundError'

    constructor(cid: CID) {
        super(`there is no block ${cid}`)
    }
}

async function putAll(client: DirectClient, blocks: AsyncIterable<Block>, heard: PutEvents, given: AbortSignal): Promise<void> {
    const stop = new AbortController()
    const { signal } = stop
    // The first failure ends it all: also the wait for a block, which may wait for room in turn.
    const failure = new Promise<never>((_, reject) => signal.addEventListener('abort', () => reject(signal.reason)))
    failure.catch(() => {})
    const abort = () => stop.abort(given.reason)
    given.addEventListener('abort', abort)

    const ways = new Map<string, Way>()
    const silence = client.on('progress', ({ cid, sent, size, side }) => {
        const way = side === 's3' ? 'direct' : 'proxied'
        ways.set(cid.toString(), way)
        if (sent < size) heard.sending(cid)
        else heard.sent(cid, way)
    })
    const underWay = new Set<Promise<void>>()
    let bytesUnderWay = 0
    try {
        const source = blocks[Symbol.asyncIterator]()
        for (;;) {
            const next = await Promise.race([source.next(), failure])
            if (next.done) break
            const { cid, bytes } = next.value
            while (underWay.size >= MOST_BLOCKS || bytesUnderWay >= MOST_BYTES) await Promise.race([...underWay, failure])
            bytesUnderWay += bytes.length
            const one = client.put(cid, bytes, { signal }).then(
                // What was never sent was there.
                () => heard.stored(cid, ways.get(cid.toString()) ?? 'stored'),
                error => stop.abort(error)
            )
            underWay.add(one)
            void one.then(() => {
                underWay.delete(one)
                bytesUnderWay -= bytes.length
            })
        }
        await Promise.race([Promise.all(underWay), failure])
        // The last may have failed in the same moment as it ended.
        signal.throwIfAborted()
    } finally {
        silence()
        given.removeEventListener('abort', abort)
    }
}
