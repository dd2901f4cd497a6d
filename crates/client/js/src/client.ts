import type { MultihashHasher } from 'multiformats'
import type { CID } from 'multiformats/cid'
import { Core, type Direct } from './core.js'
import { Downloads } from './downloads.js'
import { JSON_ENCODING, dagCborEncoding, type DagCbor } from './encoding.js'
import { Events, type ClientEvents, type Traffic } from './events.js'
import type { Info } from './info.js'
import { RETRY, type Retry } from './retry.js'
import { S3, isPage } from './s3.js'
import { Service, type Token } from './service.js'
import { transport, type Transport } from './transport.js'
import { Uploads } from './uploads.js'
import { Verifier } from './verify.js'

export interface DirectOptions {
  /** Where the service is: `https://HOST[:PORT][/PATH]`. */
  url: string | URL
  /** What it wants to be shown; without one, what it allows to anybody. It is never kept elsewhere. */
  token?: Token | undefined
  /** Whether blocks go straight to S3: `auto` unless set. */
  direct?: Direct | undefined
  /** How many blocks are sent or read at once: unless set, 16, and in browsers 6. */
  concurrency?: number | undefined
  /** Hashes beside sha2-256 and sha2-512, as Helia takes them. */
  hashers?: readonly MultihashHasher[] | undefined
  /** `@ipld/dag-cbor`, to speak DAG-CBOR with the service, which takes a third less than JSON. */
  dagCbor?: DagCbor | undefined
  /** Take grants for `http` from a service that is reached by `https`. */
  allowHttp?: boolean | undefined
  /** The largest block that is put through the service where it is alone, in bytes: 4,096 unless set. */
  smallBlock?: number | undefined
  /** The most blocks under one lease: 1,024 unless set. */
  batchBlocks?: number | undefined
  retry?: Partial<Retry> | undefined
  /** After how many milliseconds without any progress a request is given up: 60,000 unless set. */
  silence?: number | undefined
  /** What sends requests; the platform's own unless set. */
  transport?: Transport | undefined
}

export interface CallOptions {
  signal?: AbortSignal | undefined
}

/** Browsers open no more connections to a host of HTTP/1.1; the others would wait without a sign. */
const PAGE_CONCURRENCY = 6

/**
 * A client of a service: blocks go to and from S3 itself, which the service only grants.
 *
 * It holds no resource that would have to be closed.
 */
export class DirectClient {
  /** The requests of the protocol, one by one. */
  readonly service: Service
  readonly #core: Core
  readonly #downloads: Downloads
  readonly #uploads: Uploads

  constructor (options: DirectOptions) {
    const events = new Events()
    const common = {
      transport: options.transport ?? transport,
      retry: { ...RETRY, ...options.retry },
      silence: options.silence ?? 60_000,
      events
    }
    this.service = new Service({
      ...common,
      url: options.url,
      token: options.token,
      encoding: options.dagCbor === undefined ? JSON_ENCODING : dagCborEncoding(options.dagCbor)
    })
    const s3 = new S3({
      ...common,
      secure: this.service.url.startsWith('https:') && options.allowHttp !== true
    })
    this.#core = new Core(this.service, s3, new Verifier(options.hashers), events, {
      direct: options.direct ?? 'auto',
      concurrency: Math.max(1, options.concurrency ?? (isPage() ? PAGE_CONCURRENCY : 16)),
      smallBlock: options.smallBlock ?? 4096,
      batchBlocks: Math.max(1, options.batchBlocks ?? 1024)
    })
    this.#downloads = new Downloads(this.#core)
    this.#uploads = new Uploads(this.#core)
  }

  /** What went through the service and what went straight to S3. */
  get traffic (): Traffic {
    return this.#core.events.traffic
  }

  /** Hears of what happens. What comes back ends that. */
  on<K extends keyof ClientEvents> (type: K, listener: (event: ClientEvents[K]) => void): () => void {
    return this.#core.events.on(type, listener)
  }

  /** What the service is. It is asked once. */
  async info (options?: CallOptions): Promise<Info> {
    return this.#core.info(options?.signal)
  }

  /** A block, checked against its CID; `undefined` where there is none. */
  async get (cid: CID, options?: CallOptions): Promise<Uint8Array | undefined> {
    return this.#downloads.get(cid, options?.signal)
  }

  /** Whether there is such a block. */
  async has (cid: CID, options?: CallOptions): Promise<boolean> {
    return this.#downloads.has(cid, options?.signal)
  }

  /**
   * Stores a block. It returns once S3 has the block and the lease is completed. Blocks that are put
   * at once share a lease: put many, and wait for them together.
   */
  async put (cid: CID, bytes: Uint8Array, options?: CallOptions): Promise<void> {
    await this.#uploads.put(cid, bytes, options?.signal)
  }

  /** Gets the grant of a block that will be read, together with those of others. */
  async prepare (cid: CID, options?: CallOptions): Promise<void> {
    await this.#downloads.prepare(cid, options?.signal)
  }
}
