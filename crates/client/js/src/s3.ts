import { sleep } from './abort.js'
import type { Events } from './events.js'
import type { Grant } from './grant.js'
import { Problem } from './problem.js'
import { isTransient, pause, retryAfter, type Retry } from './retry.js'
import { isOffline } from './service.js'
import { TransportError, type Answer, type Transport } from './transport.js'

/** What S3 answers to a request that was granted. */
export type S3Answer =
  | { readonly kind: 'done', readonly body: Uint8Array }
  /** S3 says that nothing lies at this key. */
  | { readonly kind: 'absent' }
  /** S3 does not say what it is that is not there. */
  | { readonly kind: 'unsaid' }
  /** The grant was good only while the block was absent. */
  | { readonly kind: 'stored' }
  /** S3 does not take the grant, or not these bytes under it. */
  | { readonly kind: 'refused', readonly status: number, readonly code: string }
  /** S3 cannot be reached from here. */
  | { readonly kind: 'unreached', readonly problem: Problem }

export interface S3Options {
  readonly transport: Transport
  readonly retry: Retry
  readonly silence: number
  readonly events: Events
  /** Whether grants for `http` are refused. */
  readonly secure: boolean
}

export interface S3Call {
  readonly body?: Uint8Array | undefined
  /** The most bytes of the answer. */
  readonly limit: number
  readonly signal?: AbortSignal | undefined
  readonly onSent?: ((bytes: number) => void) | undefined
}

/** Sends what was granted, straight to S3. It knows no token. */
export class S3 {
  readonly #options: S3Options

  constructor (options: S3Options) {
    this.#options = options
  }

  /**
   * Sends a request, again where that may help.
   *
   * @throws Problem `unavailable` where S3 failed, `too-large`, `protocol`.
   */
  async send (grant: Grant, call: S3Call): Promise<S3Answer> {
    const { retry, events, secure } = this.#options
    if (secure && !grant.url.startsWith('https:')) {
      return { kind: 'unreached', problem: new Problem('s3-insecure', 'the service is reached by https, but its grants are for http') }
    }
    let unanswered = 0
    for (let made = 1; ; made++) {
      let wait: number | undefined
      let status: number | undefined
      try {
        const answer = await this.#attempt(grant, call)
        const code = errorCode(answer)
        status = answer.status
        if (!isTransient(status) && code !== 'RequestTimeout') {
          return meaning(answer, code)
        }
        const after = retryAfter(answer.header('retry-after'))
        wait = pause(retry, made, after, Math.random())
        if (wait === undefined) {
          throw new Problem('unavailable', `S3 answers ${status} ${code}`, { status, retryAfter: after })
        }
      } catch (error) {
        if (!(error instanceof TransportError)) {
          throw error
        }
        if (error.kind === 'too-large') {
          throw new Problem('too-large', 'what lies at S3 is larger than the limit', { cause: error })
        }
        if (error.kind === 'redirect') {
          return { kind: 'refused', status: 307, code: 'Redirect' }
        }
        unanswered++
        wait = error.kind === 'silence' || unanswered > 1 || isOffline()
          ? undefined
          : pause(retry, made, undefined, Math.random())
        if (wait === undefined) {
          return { kind: 'unreached', problem: await diagnosed(grant.url, error) }
        }
      }
      events.emit('retry', { side: 's3', status, wait })
      await sleep(wait, call.signal)
    }
  }

  async #attempt (grant: Grant, call: S3Call): Promise<Answer> {
    const { transport, silence, events } = this.#options
    const headers = { ...grant.headers }
    // Set from the body by whatever sends it; browsers allow nothing else.
    delete headers['content-length']
    events.count('s3', { requests: 1 })
    const answer = await transport({
      method: grant.method,
      url: grant.url,
      headers,
      body: call.body,
      // The words of an error may be longer than what was asked for.
      limit: Math.max(call.limit, 65_536),
      silence,
      signal: call.signal,
      onSent: call.onSent
    })
    events.count('s3', { up: call.body?.length ?? 0, down: answer.body.length })
    return answer
  }
}

/** The `Code` of an error's XML, or nothing. */
function errorCode (answer: Answer): string {
  if (answer.status < 300 || answer.body.length > 65_536) {
    return ''
  }
  const text = new TextDecoder().decode(answer.body)
  return /<Code>([A-Za-z0-9]{1,64})<\/Code>/.exec(text)?.[1] ?? ''
}

function meaning (answer: Answer, code: string): S3Answer {
  const { status } = answer
  if (status >= 200 && status < 300) {
    return { kind: 'done', body: answer.body }
  }
  if (status === 404) {
    if (code === 'NoSuchBucket') {
      throw new Problem('unavailable', 'the bucket does not exist', { status })
    }
    return { kind: code === 'NoSuchKey' ? 'absent' : 'unsaid' }
  }
  if (status === 412) {
    return { kind: 'stored' }
  }
  return { kind: 'refused', status, code }
}

/**
 * Why there was no answer. A browser hides the reason, but one request without CORS, which has no
 * token and no grant, tells whether anybody is there at all.
 */
async function diagnosed (url: string, cause: TransportError): Promise<Problem> {
  if (isOffline()) {
    return new Problem('offline', 'this device has no network', { cause })
  }
  const { origin } = new URL(url)
  if (cause.kind === 'network' && isPage() && await isThere(origin)) {
    return new Problem('s3-cors', `the bucket at ${origin} lacks CORS rules that let this page in`, { cause })
  }
  return new Problem('s3-unreachable', `S3 at ${origin} is not reached from here`, { cause })
}

/** Whether this runs in a browser: a page, or a worker of one. */
export function isPage (): boolean {
  return typeof location !== 'undefined' && typeof navigator !== 'undefined'
}

async function isThere (origin: string): Promise<boolean> {
  try {
    await fetch(`${origin}/`, {
      method: 'HEAD',
      mode: 'no-cors',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      cache: 'no-store',
      signal: AbortSignal.timeout(10_000)
    })
    return true
  } catch {
    return false
  }
}
