import { Problem } from './problem.js'

/** One request that may be sent to S3. Its URL is as good as a password: it belongs in no log. */
export interface Grant {
  readonly method: 'GET' | 'HEAD' | 'PUT'
  /** Where to send it, byte for byte. */
  readonly url: string
  /** Headers to send with exactly these values. */
  readonly headers: Readonly<Record<string, string>>
  /** Seconds since 1970 from which S3 may refuse it; `null` for a public bucket. */
  readonly expires: number | null
}

/** Reads a grant of a list (`direct_grants`, `staged_grants`), which came over the network. */
export function readGrant (value: unknown): Grant {
  const { method, url, headers, expires } = record(value, 'a grant')
  if (method !== 'GET' && method !== 'HEAD' && method !== 'PUT') {
    throw unfit("the grant's method")
  }
  if (typeof url !== 'string' || url.length > 20_000 || !isPlain(url)) {
    throw unfit("the grant's URL")
  }
  if (expires !== null && !isCount(expires)) {
    throw unfit("the grant's expiry")
  }
  return { method, url, headers: readHeaders(headers, GRANT_HEADER), expires }
}

/** The names of headers that a batch may ask its client to send. */
export const BATCH_HEADER = /^(?:range|content-type|cache-control|if-none-match|x-amz-[a-z0-9-]+)$/
/** The same of a single grant, which has the headers of its seal, too. */
const GRANT_HEADER = /^(?:range|content-type|cache-control|if-none-match|x-amz-[a-z0-9-]+|content-length|content-md5|authorization)$/

/** Reads headers that came over the network. */
export function readHeaders (value: unknown, names: RegExp): Record<string, string> {
  const entries = Object.entries(record(value, 'headers'))
  if (entries.length > 16) {
    throw unfit('the number of headers')
  }
  return Object.fromEntries(entries.map(([name, text]) => {
    if (name.length > 1024 || !names.test(name)) {
      throw unfit("a header's name")
    }
    if (typeof text !== 'string' || text.length > 1024 || !/^[ -~]*$/.test(text)) {
      throw unfit("a header's value")
    }
    return [name, text]
  }))
}

/** A map of members. */
export function record (value: unknown, what: string): Record<string, unknown> {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || value instanceof Uint8Array) {
    throw unfit(what)
  }
  return value as Record<string, unknown>
}

/** A whole number from zero. */
export function isCount (value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

/** The problem of an answer of which `what` cannot be right. */
export function unfit (what: string): Problem {
  return new Problem('protocol', `the service's answer makes no sense: ${what} cannot be right`)
}

/** A URL that the platform takes as it is: it would not send anything else. */
function isPlain (text: string): boolean {
  try {
    const url = new URL(text)
    return (url.protocol === 'http:' || url.protocol === 'https:') && url.href === text &&
      url.username === '' && url.password === '' && url.hash === ''
  } catch {
    return false
  }
}
