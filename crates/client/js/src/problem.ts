/** The classes of problems: those of the protocol (docs/direct-access.md), then those found by the client itself. */
export type ProblemCode =
  | 'invalid'
  | 'corrupt'
  | 'unauthorised'
  | 'denied'
  | 'quota'
  | 'not-found'
  | 'no-such-lease'
  | 'method'
  | 'timeout'
  | 'incomplete'
  | 'too-large'
  | 'media-type'
  | 'rate'
  | 'not-direct'
  | 'unavailable'
  /** A code of a later version of the protocol. */
  | 'unknown'
  /** An answer that makes no sense; also one that comes from no service at all. */
  | 'protocol'
  /** The service was not reached. */
  | 'service-unreachable'
  /** S3 was not reached: the name does not resolve, a firewall or a blocker stands between. */
  | 's3-unreachable'
  /** S3 was reached, but the browser may not use its answer: the bucket's CORS rules are missing. */
  | 's3-cors'
  /** The grants would send blocks by `http`, though the service is reached by `https`. */
  | 's3-insecure'
  /** S3 took none of several grants. */
  | 's3-refused'
  /** This device has no network. */
  | 'offline'
  /** Blocks of this hash cannot be checked: no hasher was given for it. */
  | 'unknown-hash'
  /** This page has no WebCrypto, since it was loaded neither by `https` nor from this machine. */
  | 'insecure-context'

const OF_THE_PROTOCOL: ReadonlySet<string> = new Set<ProblemCode>([
  'invalid', 'corrupt', 'unauthorised', 'denied', 'quota', 'not-found', 'no-such-lease', 'method',
  'timeout', 'incomplete', 'too-large', 'media-type', 'rate', 'not-direct', 'unavailable'
])

/** The particulars of a problem. */
export interface ProblemDetails {
  /** The HTTP status, where there was an answer. */
  status?: number | undefined
  /** Which block of the request is meant. */
  index?: number | undefined
  /** After how many seconds it may work. */
  retryAfter?: number | undefined
  /** Blocks of a lease that are not there, by index. */
  missing?: readonly number[] | undefined
  /** Blocks of a lease that are not what they were said to be. */
  wrong?: readonly number[] | undefined
  cause?: unknown
}

/** Everything that goes wrong, except that a block is absent (`NotFoundError`) or the caller gave up. */
export class Problem extends Error {
  override readonly name = 'Problem'
  readonly code: ProblemCode
  readonly status: number | undefined
  readonly index: number | undefined
  readonly retryAfter: number | undefined
  readonly missing: readonly number[]
  readonly wrong: readonly number[]

  constructor (code: ProblemCode, message: string, details: ProblemDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause })
    this.code = code
    this.status = details.status
    this.index = details.index
    this.retryAfter = details.retryAfter
    this.missing = details.missing ?? []
    this.wrong = details.wrong ?? []
  }
}

/** The problem that an answer of a service tells of; `undefined` where it is no answer of a service. */
export function readProblem (value: unknown, status: number, retryAfter?: number): Problem | undefined {
  if (typeof value !== 'object' || value === null || !('code' in value) || typeof value.code !== 'string') {
    return undefined
  }
  const said: Record<string, unknown> = { ...value }
  const code = OF_THE_PROTOCOL.has(value.code) ? value.code as ProblemCode : 'unknown'
  const message = typeof said['message'] === 'string' ? printable(said['message']) : ''
  return new Problem(code, message === '' ? `the service answers ${status}` : message, {
    status,
    index: count(said['index']),
    retryAfter: retryAfter ?? count(said['retry_after']),
    missing: counts(said['missing']),
    wrong: counts(said['wrong'])
  })
}

/** Foreign text on one line, and not too much of it. */
function printable (text: string): string {
  return text.slice(0, 500).replace(/[\p{Cc}\p{Cs}]/gu, ' ')
}

function count (value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

function counts (value: unknown): number[] {
  return Array.isArray(value) ? value.map(count).filter(n => n !== undefined) : []
}
