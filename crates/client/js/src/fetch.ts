import { TransportError, firstSilence, type Answer, type Call } from './transport.js'
import { owned } from './verify.js'

/** Sends a request by `fetch`. */
export async function sendByFetch (call: Call): Promise<Answer> {
  const watch = new Watch(call)
  try {
    const response = await fetch(call.url, {
      method: call.method,
      headers: { ...call.headers },
      body: call.body === undefined ? null : owned(call.body),
      signal: watch.signal,
      redirect: 'manual',
      credentials: 'omit',
      referrerPolicy: 'no-referrer',
      // A block that was deleted is absent at once.
      cache: 'no-store'
    })
    if (response.type === 'opaqueredirect' || (response.status >= 300 && response.status < 400)) {
      await response.body?.cancel()
      throw new TransportError('redirect', 'the answer points elsewhere')
    }
    watch.heard()
    call.onSent?.(call.body?.length ?? 0)
    const body = await readBody(response, call.limit, watch)
    return { status: response.status, header: name => response.headers.get(name), body }
  } catch (error) {
    call.signal?.throwIfAborted()
    if (error instanceof TransportError) {
      throw error
    }
    if (watch.signal.aborted) {
      throw watch.signal.reason
    }
    throw new TransportError('network', 'no answer', error)
  } finally {
    watch.end()
  }
}

async function readBody (response: Response, limit: number, watch: Watch): Promise<Uint8Array<ArrayBuffer>> {
  const chunks: Uint8Array[] = []
  let length = 0
  const reader = response.body?.getReader()
  for (;;) {
    const chunk = await reader?.read()
    if (chunk?.value === undefined) {
      return joined(chunks, length)
    }
    watch.heard()
    length += chunk.value.length
    if (length > limit) {
      await reader?.cancel()
      throw new TransportError('too-large', `the answer has more than ${limit} bytes`)
    }
    chunks.push(chunk.value)
  }
}

/** Chunks as one piece of memory. */
export function joined (chunks: readonly Uint8Array[], length: number): Uint8Array<ArrayBuffer> {
  const only = chunks[0]
  if (only !== undefined && chunks.length === 1) {
    return owned(only)
  }
  const whole = new Uint8Array(length)
  let at = 0
  for (const chunk of chunks) {
    whole.set(chunk, at)
    at += chunk.length
  }
  return whole
}

/** Gives a request up after a time of silence, or when its caller does. */
class Watch {
  readonly #controller = new AbortController()
  readonly #silence: number
  readonly #given: AbortSignal | undefined
  readonly #abort = (): void => { this.#controller.abort(this.#given?.reason) }
  #timer: ReturnType<typeof setTimeout> | undefined

  constructor (call: Call) {
    const { signal, silence } = call
    signal?.throwIfAborted()
    this.#silence = silence
    this.#given = signal
    signal?.addEventListener('abort', this.#abort)
    this.#wait(firstSilence(call))
  }

  get signal (): AbortSignal {
    return this.#controller.signal
  }

  heard (): void {
    this.#wait(this.#silence)
  }

  #wait (milliseconds: number): void {
    clearTimeout(this.#timer)
    this.#timer = setTimeout(() => {
      this.#controller.abort(new TransportError('silence', `nothing was heard for ${milliseconds} ms`))
    }, milliseconds)
  }

  end (): void {
    clearTimeout(this.#timer)
    this.#given?.removeEventListener('abort', this.#abort)
  }
}
