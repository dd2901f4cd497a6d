import { sendByFetch } from './fetch.js'
import { sendByXhr } from './xhr.js'

/** An HTTP request. */
export interface Call {
  readonly method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'DELETE'
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: Uint8Array | undefined
  /** The most bytes that the answer's body may have. */
  readonly limit: number
  /** After how many milliseconds without any progress it is given up; see {@link firstSilence}. */
  readonly silence: number
  readonly signal?: AbortSignal | undefined
  /** Hears how many bytes of the body have left, if that can be known. */
  readonly onSent?: ((bytes: number) => void) | undefined
}

/** An HTTP answer, read to its end. */
export interface Answer {
  readonly status: number
  header(name: string): string | null
  readonly body: Uint8Array<ArrayBuffer>
}

/** What sends requests. It follows no redirect, uses no cache, and sends no cookies. */
export type Transport = (call: Call) => Promise<Answer>

/** Why there is no answer. */
export class TransportError extends Error {
  override readonly name = 'TransportError'
  /** `network`: not reached, broken off, or hidden by the browser for lack of CORS rules. */
  readonly kind: 'network' | 'silence' | 'too-large' | 'redirect'

  constructor (kind: TransportError['kind'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause })
    this.kind = kind
  }
}

/**
 * How many milliseconds of silence a request may begin with. While its body leaves, nothing is heard
 * on some platforms, and others share the line: it gets as long as if it had 4 KiB a second.
 */
export function firstSilence ({ silence, body }: Call): number {
  return silence + (body?.length ?? 0) / 4.096
}

/** By `XMLHttpRequest` where the progress of an upload is asked for and there is one; else by `fetch`. */
export const transport: Transport = call =>
  call.body !== undefined && call.onSent !== undefined && typeof XMLHttpRequest === 'function'
    ? sendByXhr(call)
    : sendByFetch(call)
