import { BATCH_HEADER, isCount, readHeaders, record, unfit } from './grant.js'
import { layout, type Layout } from './layout.js'
import { readBase64url, utf8 } from './text.js'

/** What makes S3 refuse other bytes than those granted (docs/grants.md). */
export type Seal = 'checksum' | 'payload-hash' | 'checksum-md5'

/** What a batch is made of, once it was checked. */
export interface BatchParts {
  readonly method: 'GET' | 'HEAD' | 'PUT'
  readonly base: string
  readonly layout: Layout
  readonly prefix: string
  readonly headers: Readonly<Record<string, string>>
  readonly seal: Seal | undefined
  /** Absent for the plain URLs of a public bucket. */
  readonly signed: Signed | undefined
}

export interface Signed {
  readonly query: string
  readonly expires: number
  /** 32 bytes a block. */
  readonly signatures: Uint8Array
}

const MAX_BLOCKS = 65_536
const MEMBERS = new Set([
  'version', 'method', 'base', 'layout', 'prefix', 'headers', 'seal', 'query', 'expires', 'signatures'
])

/** Reads a batch by the rules of docs/grants.md, "Reading a batch that came over the network". */
export function readBatch (value: unknown): BatchParts {
  const wire = record(value, 'a batch')
  if (Object.keys(wire).some(name => !MEMBERS.has(name))) {
    throw unfit('a member of the batch')
  }
  if (wire['version'] !== 1) {
    throw unfit("the batch's version")
  }
  const method = wire['method']
  if (method !== 'GET' && method !== 'HEAD' && method !== 'PUT') {
    throw unfit("the batch's method")
  }
  return {
    method,
    base: text(wire, 'base', isBase),
    layout: readLayout(wire['layout']),
    prefix: text(wire, 'prefix', isPrefix),
    headers: readHeaders(wire['headers'], BATCH_HEADER),
    seal: readSeal(wire['seal'], method),
    signed: readSigned(wire, method)
  }
}

function text (wire: Record<string, unknown>, name: string, right: (text: string) => boolean): string {
  const value = wire[name]
  if (typeof value !== 'string' || !right(value)) {
    throw unfit(`the batch's ${name}`)
  }
  return value
}

function isBase (base: string): boolean {
  const path = /^https?:\/\/[a-z0-9._:[\]-]+(\/.*)$/.exec(base)?.[1]
  if (path === undefined || base.length > 2048) {
    return false
  }
  const odd = /\/(?:\.{0,2})\//.test(path)
  // The colon of Ceph's `tenant:bucket` is all that is ever encoded.
  if (odd || !path.endsWith('/') || !/^(?:[\w.~/-]|%3A)*$/.test(path)) {
    return false
  }
  try {
    // The platform would write host and port in no other way.
    return new URL(base).href === base
  } catch {
    return false
  }
}

function isPrefix (prefix: string): boolean {
  return prefix === '' || (
    utf8(prefix).length <= 512 &&
    // Control characters, and halves of characters.
    !/[\p{Cc}\p{Cs}]/u.test(prefix) &&
    !/%(?:2f|2e|5c)/i.test(prefix) &&
    prefix.split('/').every(segment => !/^\.{0,2}$/.test(segment))
  )
}

function readLayout (name: unknown): Layout {
  const known = typeof name === 'string' ? layout(name) : undefined
  if (known === undefined) {
    throw unfit("the batch's layout")
  }
  return known
}

function readSeal (seal: unknown, method: string): Seal | undefined {
  if (method !== 'PUT' && seal === undefined) {
    return undefined
  }
  if (method === 'PUT' && (seal === 'checksum' || seal === 'payload-hash' || seal === 'checksum-md5')) {
    return seal
  }
  throw unfit("the batch's seal")
}

function readSigned (wire: Record<string, unknown>, method: string): Signed | undefined {
  const { query, expires, signatures } = wire
  if (query === undefined && expires === undefined && signatures === undefined && method !== 'PUT') {
    return undefined
  }
  if (typeof query !== 'string' || query.length > 16_384 || !/^[\w.~%=&-]+$/.test(query)) {
    throw unfit("the batch's query")
  }
  if (!isCount(expires)) {
    throw unfit("the batch's expiry")
  }
  const bytes = typeof signatures === 'string' ? readBase64url(signatures) : signatures
  if (!(bytes instanceof Uint8Array) || bytes.length % 32 !== 0 || bytes.length > 32 * MAX_BLOCKS) {
    throw unfit("the batch's signatures")
  }
  return { query, expires, signatures: bytes }
}
