import type { CID } from 'multiformats/cid'
import { sleep } from './abort.js'
import { Batch } from './batch.js'
import { JSON_ENCODING, readJson, type Encoding } from './encoding.js'
import type { Events } from './events.js'
import { isCount, record, unfit } from './grant.js'
import { readGranted, type Granted } from './granted.js'
import { readInfo, type Info } from './info.js'
import { Problem, readProblem } from './problem.js'
import { isTransient, pause, retryAfter, type Retry } from './retry.js'
import { TransportError, type Answer, type Call, type Transport } from './transport.js'

/** A token, or where to get it. It is asked for again when the service no longer takes the last one. */
export type Token = string | (() => string | undefined | Promise<string | undefined>)

/** A block to be written. */
export interface Write {
  readonly cid: CID
  readonly size: number
  /** Its SHA-256, where its CID has another hash. */
  readonly sha256?: Uint8Array | undefined
}

/** A lease that was completed. */
export interface Completed {
  readonly blocks: number
  readonly bytes: number
}

/** A page of the listing. */
export interface Page {
  /** The blocks, by `CIDv1` of codec raw. */
  readonly blocks: ReadonlyArray<{ readonly cid: CID, readonly size: number }>
  /** The number of keys that are no blocks. */
  readonly foreign: number
  /** Where to go on; absent at the end. */
  readonly cursor: string | undefined
}

export interface ServiceOptions {
  readonly url: string | URL
  readonly token?: Token | undefined
  readonly encoding: Encoding
  readonly transport: Transport
  readonly retry: Retry
  readonly silence: number
  readonly events: Events
}

interface Ask {
  readonly method: Call['method']
  readonly path: string
  readonly signal?: AbortSignal | undefined
  /** The most bytes of the answer. */
  readonly limit: number
  readonly body?: Uint8Array | undefined
  readonly type?: string | undefined
  readonly accept?: string | undefined
  readonly onSent?: ((bytes: number) => void) | undefined
}

/** The most bytes of a batch (docs/grants.md), and of the answers that hold two. */
const MAX_BATCH = 2_861_736
const MAX_ANSWER = 16 << 20

/** The requests of the protocol, one a method. It alone knows the token. */
export class Service {
  /** Without a slash at its end. */
  readonly url: string
  readonly #token: Token | undefined
  readonly #options: ServiceOptions

  constructor (options: ServiceOptions) {
    this.url = readServiceUrl(options.url)
    const { token, ...others } = options
    this.#token = token
    this.#options = others
  }

  /** The token as it is now; `undefined` for none. */
  async token (): Promise<string | undefined> {
    const token = typeof this.#token === 'function' ? await this.#token() : this.#token
    return token === '' ? undefined : token
  }

  async info (signal?: AbortSignal): Promise<Info> {
    // By JSON, which every codec's caller has.
    const answer = await this.#ask({ method: 'GET', path: '/v1/info', limit: MAX_ANSWER, accept: JSON_ENCODING.mediaType, signal })
    return readInfo(readJson(answer.body))
  }

  async reads (cids: readonly CID[], method: 'GET' | 'HEAD', signal?: AbortSignal): Promise<Batch> {
    const { encoding } = this.#options
    const answer = await this.#post('/v1/reads', {
      cids: cids.map(cid => encoding.cid(cid)),
      ...(method === 'HEAD' ? { method } : {})
    }, MAX_BATCH, signal)
    const batch = Batch.from(answer)
    if (batch.method !== method || (batch.blocks ?? cids.length) !== cids.length) {
      throw unfit('the grants, which are for something else,')
    }
    return batch
  }

  async writes (blocks: readonly Write[], signal?: AbortSignal): Promise<Granted> {
    const { encoding } = this.#options
    return readGranted(await this.#post('/v1/writes', {
      blocks: blocks.map(({ cid, size, sha256 }) => ({
        cid: encoding.cid(cid),
        size,
        ...(sha256 === undefined ? {} : { sha256: encoding.digest(sha256) })
      }))
    }, MAX_ANSWER, signal), blocks.length)
  }

  async complete (lease: string, signal?: AbortSignal): Promise<Completed> {
    const { blocks, bytes } = record(await this.#post(`/v1/writes/${encodeURIComponent(lease)}/complete`, {}, MAX_ANSWER, signal), 'the completion')
    if (!isCount(blocks) || !isCount(bytes)) {
      throw unfit('the completion')
    }
    return { blocks, bytes }
  }

  /** A block through the service; `undefined` where there is none. The bytes are not checked here. */
  async get (cid: CID, limit: number, signal?: AbortSignal): Promise<Uint8Array | undefined> {
    const answer = await orAbsent(this.#ask({ method: 'GET', path: blockPath(cid), limit, signal }))
    return answer?.body
  }

  /** Whether there is such a block. */
  async has (cid: CID, signal?: AbortSignal): Promise<boolean> {
    return await orAbsent(this.#ask({ method: 'HEAD', path: blockPath(cid), limit: 0, signal })) !== undefined
  }

  async put (cid: CID, bytes: Uint8Array, signal?: AbortSignal, onSent?: (bytes: number) => void): Promise<void> {
    await this.#ask({ method: 'PUT', path: blockPath(cid), body: bytes, type: 'application/vnd.ipld.raw', limit: MAX_ANSWER, signal, onSent })
  }

  async delete (cid: CID, signal?: AbortSignal): Promise<void> {
    await this.#ask({ method: 'DELETE', path: blockPath(cid), limit: MAX_ANSWER, signal })
  }

  async list (cursor: string | undefined, signal?: AbortSignal): Promise<Page> {
    const { encoding } = this.#options
    const path = '/v1/blocks' + (cursor === undefined ? '' : `?cursor=${encodeURIComponent(cursor)}`)
    const answer = await this.#ask({ method: 'GET', path, limit: MAX_ANSWER, accept: encoding.mediaType, signal })
    const page = record(encoding.decode(answer.body), 'the listing')
    const next = page['cursor']
    if (!Array.isArray(page['blocks']) || !isCount(page['foreign']) || (next !== undefined && typeof next !== 'string')) {
      throw unfit('the listing')
    }
    return {
      blocks: page['blocks'].map((listed: unknown) => {
        const { cid, size } = record(listed, 'a block of the listing')
        if (!isCount(size)) {
          throw unfit('the size of a block')
        }
        return { cid: encoding.readCid(cid), size }
      }),
      foreign: page['foreign'],
      cursor: next
    }
  }

  async #post (path: string, body: unknown, limit: number, signal: AbortSignal | undefined): Promise<unknown> {
    const { encoding } = this.#options
    const answer = await this.#ask({
      method: 'POST', path, body: encoding.encode(body), type: encoding.mediaType, accept: encoding.mediaType, limit, signal
    })
    return encoding.decode(answer.body)
  }

  /** Sends a request, again where that may help, and gives its answer of success. */
  async #ask (ask: Ask): Promise<Answer> {
    const { retry, events } = this.#options
    let renewed = false
    for (let made = 1; ; made++) {
      let problem: Problem
      let transient = true
      try {
        const answer = await this.#send(ask)
        if (answer.status >= 200 && answer.status < 300) {
          return answer
        }
        problem = refusal(answer)
        transient = isTransient(answer.status)
      } catch (error) {
        problem = unanswered(error)
        transient = problem.code === 'service-unreachable'
      }
      if (problem.code === 'unauthorised' && typeof this.#token === 'function' && !renewed) {
        renewed = true
        continue
      }
      const wait = transient ? pause(retry, made, problem.retryAfter, Math.random()) : undefined
      if (wait === undefined) {
        throw problem
      }
      events.emit('retry', { side: 'service', status: problem.status, wait })
      await sleep(wait, ask.signal)
    }
  }

  async #send (ask: Ask): Promise<Answer> {
    const { transport, silence, events } = this.#options
    const token = await this.token()
    const headers: Record<string, string> = {}
    if (token !== undefined) {
      headers['authorization'] = `Bearer ${token}`
    }
    if (ask.type !== undefined) {
      headers['content-type'] = ask.type
    }
    if (ask.accept !== undefined) {
      headers['accept'] = ask.accept
    }
    events.count('service', { requests: 1 })
    const answer = await transport({
      method: ask.method,
      url: this.url + ask.path,
      headers,
      body: ask.body,
      // The words of an error may be longer than what was asked for.
      limit: Math.max(ask.limit, 65_536),
      silence,
      signal: ask.signal,
      onSent: ask.onSent
    })
    events.count('service', { up: ask.body?.length ?? 0, down: answer.body.length })
    return answer
  }
}

/** A service's URL without a slash at its end. Nothing of the text is repeated: it may hold a secret. */
function readServiceUrl (given: string | URL): string {
  let url: URL
  try {
    url = new URL(given)
  } catch {
    throw new Problem('invalid', 'this is no URL of a service')
  }
  if ((url.protocol !== 'http:' && url.protocol !== 'https:') || url.username !== '' || url.password !== '' ||
    url.search !== '' || url.hash !== '') {
    throw new Problem('invalid', 'the URL of a service is http(s)://HOST[:PORT][/PATH], without user, query and fragment')
  }
  return url.href.replace(/\/+$/, '')
}

function blockPath (cid: CID): string {
  return `/v1/blocks/${cid.toString()}`
}

/** What the answer that is no success means. */
function refusal (answer: Answer): Problem {
  const { status } = answer
  const after = retryAfter(answer.header('retry-after'))
  const isProblem = answer.header('content-type')?.split(';')[0]?.trim().toLowerCase() === 'application/json'
  if (isProblem) {
    // The answer to a HEAD has no body.
    const said = answer.body.length === 0 ? { code: BY_STATUS.get(status) } : problemBody(answer.body)
    const problem = readProblem(said, status, after)
    if (problem !== undefined) {
      return problem
    }
  }
  if (isTransient(status)) {
    return new Problem('unavailable', `something before the service answers ${status}`, { status, retryAfter: after })
  }
  return new Problem('protocol', `the answer ${status} is not in the words of a service: is this its URL?`, { status })
}

const BY_STATUS: ReadonlyMap<number, string> = new Map([
  [400, 'invalid'], [401, 'unauthorised'], [403, 'denied'], [404, 'not-found'], [405, 'method'],
  [408, 'timeout'], [429, 'rate'], [501, 'not-direct'], [503, 'unavailable']
])

function problemBody (body: Uint8Array): unknown {
  try {
    return readJson(body)
  } catch {
    return undefined
  }
}

/** What it means that there is no answer. What the caller's signal says is passed on as it is. */
function unanswered (error: unknown): Problem {
  if (!(error instanceof TransportError)) {
    throw error
  }
  switch (error.kind) {
    case 'too-large': return new Problem('too-large', error.message, { cause: error })
    case 'redirect': return new Problem('protocol', 'the service sends us elsewhere: give its own URL', { cause: error })
    default: return new Problem(isOffline() ? 'offline' : 'service-unreachable', `the service: ${error.message}`, { cause: error })
  }
}

/** Whether this device says that it has no network. */
export function isOffline (): boolean {
  return typeof navigator !== 'undefined' && navigator.onLine === false
}

async function orAbsent (answer: Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await answer
  } catch (error) {
    if (error instanceof Problem && error.code === 'not-found') {
      return undefined
    }
    throw error
  }
}
