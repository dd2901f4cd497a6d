// What the page needs of a service.

import type { Info, Problem, Traffic } from '@cidbucket/client'
import type { CID } from 'multiformats/cid'

/** How a block went: straight to S3, not at all since it was there, or through the service. */
export type Way = 'direct' | 'stored' | 'proxied'

export interface Block {
    cid: CID
    bytes: Uint8Array
}

/** Hears how blocks fare. */
export interface PutEvents {
    sending(cid: CID): void
    /** All its bytes have left. */
    sent(cid: CID, way: Way): void
    /** The service has said that it is stored. */
    stored(cid: CID, way: Way): void
}

export interface Service {
    info(): Promise<Info>
    /** Stores blocks as they come; resolves once all are stored. */
    put(blocks: AsyncIterable<Block>, events: PutEvents, signal: AbortSignal): Promise<void>
    /** A block, checked against its CID, and the way it came. */
    get(cid: CID, signal?: AbortSignal): Promise<{ bytes: Uint8Array; way: Way }>
    /** Blocks that will be read: their grants come together. */
    prepare(cids: CID[]): void
    /** Links that read the blocks at S3, for some minutes; `undefined` where a block has none. */
    links(cids: CID[]): Promise<(string | undefined)[]>
}

/** What the page around it wants to hear. */
export interface ServiceEvents {
    traffic(traffic: Traffic): void
    /** S3 is not reached: blocks go through the service. */
    fallback(problem: Problem): void
    /** S3 is reached again. */
    reached(): void
}
