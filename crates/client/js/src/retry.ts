/** How often and at what pace a failed request is tried again. */
export interface Retry {
  /** How often a request is sent at most. */
  readonly attempts: number
  /** The first wait is up to so many milliseconds; each next one up to twice as many. */
  readonly base: number
  /** The longest wait, in milliseconds. A server that asks for more gets no further attempt. */
  readonly longest: number
}

export const RETRY: Retry = { attempts: 5, base: 200, longest: 20_000 }

/**
 * How many milliseconds to wait before the next attempt, after `made` attempts; `undefined` for no
 * more. Full jitter: any time up to the limit, so that many clients do not come back at once.
 *
 * @param after for how many seconds the server asked to wait
 * @param random from 0 to 1
 */
export function pause (retry: Retry, made: number, after: number | undefined, random: number): number | undefined {
  if (made >= retry.attempts) {
    return undefined
  }
  const jitter = Math.min(retry.longest, retry.base * 2 ** (made - 1)) * random
  const wait = after === undefined ? jitter : after * 1000 + Math.min(jitter, 1000)
  return wait > retry.longest ? undefined : wait
}

/** Whether the same request may succeed later. */
export function isTransient (status: number): boolean {
  return status === 429 || status === 408 || status === 500 || (status >= 502 && status <= 504) ||
    (status >= 520 && status <= 527)
}

/** What `Retry-After` says, in seconds. */
export function retryAfter (header: string | null): number | undefined {
  return header !== null && /^\d{1,6}$/.test(header.trim()) ? Number(header) : undefined
}
