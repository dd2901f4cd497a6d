import { TransportError, firstSilence, type Answer, type Call } from './transport.js'
import { owned } from './verify.js'

/** Sends a request by `XMLHttpRequest`, which alone tells in browsers how far an upload is. */
export async function sendByXhr (call: Call): Promise<Answer> {
  call.signal?.throwIfAborted()
  const xhr = new XMLHttpRequest()
  let abort = (): void => {}
  try {
    return await new Promise<Answer>((resolve, reject) => {
      abort = () => {
        reject(call.signal?.reason)
        xhr.abort()
      }
      call.signal?.addEventListener('abort', abort)
      const fail = (kind: TransportError['kind'], message: string) => () => {
        reject(new TransportError(kind, message))
        xhr.abort()
      }
      let timer: ReturnType<typeof setTimeout> | undefined
      const wait = (milliseconds: number): void => {
        clearTimeout(timer)
        timer = setTimeout(fail('silence', `nothing was heard for ${milliseconds} ms`), milliseconds)
      }
      const heard = (): void => { wait(call.silence) }
      xhr.upload.onprogress = event => {
        heard()
        call.onSent?.(event.loaded)
      }
      xhr.onprogress = event => {
        heard()
        if (event.loaded > call.limit) {
          fail('too-large', `the answer has more than ${call.limit} bytes`)()
        }
      }
      xhr.onerror = fail('network', 'no answer')
      xhr.onloadend = () => { clearTimeout(timer) }
      xhr.onload = () => {
        if (xhr.responseURL !== call.url || (xhr.status >= 300 && xhr.status < 400)) {
          fail('redirect', 'the answer points elsewhere')()
          return
        }
        call.onSent?.(call.body?.length ?? 0)
        const body: unknown = xhr.response
        resolve({
          status: xhr.status,
          header: name => xhr.getResponseHeader(name),
          body: body instanceof ArrayBuffer ? new Uint8Array(body) : new Uint8Array()
        })
      }
      xhr.open(call.method, call.url)
      xhr.responseType = 'arraybuffer'
      for (const [name, value] of Object.entries(call.headers)) {
        xhr.setRequestHeader(name, value)
      }
      wait(firstSilence(call))
      xhr.send(call.body === undefined ? null : owned(call.body))
    })
  } finally {
    call.signal?.removeEventListener('abort', abort)
  }
}
