import type { CID } from 'multiformats/cid'
import type { Problem } from './problem.js'

/** One side of the traffic. Bytes are those of bodies, where there was an answer: browsers tell no more. */
export interface Side {
  /** Requests, each attempt of them. */
  readonly requests: number
  /** Bytes received. */
  readonly down: number
  /** Bytes sent. */
  readonly up: number
}

/** What went through the service and what went straight to S3, since the client was made. */
export interface Traffic {
  readonly service: Side
  readonly s3: Side
}

/** What a client tells its listeners. */
export interface ClientEvents {
  /** The counters moved. */
  traffic: Traffic
  /** So many bytes of a block have left. */
  progress: { readonly cid: CID, readonly sent: number, readonly size: number, readonly side: keyof Traffic }
  /** S3 was not reached (`problem.code` says why); for so many seconds blocks go through the service. */
  fallback: { readonly problem: Problem, readonly seconds: number }
  /** S3 is reached again. */
  reached: Record<never, never>
  /** A request will be sent again after so many milliseconds. */
  retry: { readonly side: keyof Traffic, readonly status: number | undefined, readonly wait: number }
}

type Listener<K extends keyof ClientEvents> = (event: ClientEvents[K]) => void

/** Listeners, and the counters that they hear of. */
export class Events {
  readonly #listeners = new Map<keyof ClientEvents, Set<unknown>>()
  #traffic: Traffic = { service: NOTHING, s3: NOTHING }

  /** Adds a listener. What comes back removes it. */
  on<K extends keyof ClientEvents> (type: K, listener: Listener<K>): () => void {
    const listeners = this.#of(type)
    listeners.add(listener)
    return () => { listeners.delete(listener) }
  }

  emit<K extends keyof ClientEvents> (type: K, event: ClientEvents[K]): void {
    for (const listener of this.#of(type)) {
      listener(event)
    }
  }

  has (type: keyof ClientEvents): boolean {
    return this.#of(type).size > 0
  }

  get traffic (): Traffic {
    return this.#traffic
  }

  count (side: keyof Traffic, more: Partial<Side>): void {
    const before = this.#traffic[side]
    this.#traffic = {
      ...this.#traffic,
      [side]: {
        requests: before.requests + (more.requests ?? 0),
        down: before.down + (more.down ?? 0),
        up: before.up + (more.up ?? 0)
      }
    }
    this.emit('traffic', this.#traffic)
  }

  #of<K extends keyof ClientEvents> (type: K): Set<Listener<K>> {
    const there = this.#listeners.get(type) ?? new Set()
    this.#listeners.set(type, there)
    return there as Set<Listener<K>>
  }
}

const NOTHING: Side = { requests: 0, down: 0, up: 0 }
