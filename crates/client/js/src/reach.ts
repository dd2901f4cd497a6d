/** How long blocks go through the service after S3 was not reached, in milliseconds. */
const FIRST_PAUSE = 10_000
/** It doubles with every trial that fails, up to this. */
const LONGEST_PAUSE = 300_000

/**
 * Whether S3 can be reached from here: a circuit breaker. Decisions only; time is an argument, in
 * milliseconds of any clock that does not go back.
 */
export class Reach {
  #pause: { until: number, length: number } | undefined
  /** Counts the times that the answer changed, so that late news is known as such. */
  #epoch = 0

  /**
   * Leave for a block to go straight to S3, or `undefined`. After a pause one block tries, and the
   * others go through the service until it is known how that ended.
   */
  leave (now: number): number | undefined {
    if (this.#pause !== undefined) {
      if (now < this.#pause.until) {
        return undefined
      }
      this.#pause.until = now + this.#pause.length
    }
    return this.#epoch
  }

  /** Whether a block that set out now would have leave. This takes none. */
  hasLeave (now: number): boolean {
    return this.#pause === undefined || now >= this.#pause.until
  }

  /** S3 answered. Whether that is news. */
  reached (): boolean {
    const news = this.#pause !== undefined
    this.#pause = undefined
    this.#epoch += Number(news)
    return news
  }

  /** S3 was not reached. For how many milliseconds it will not be tried, where that is news. */
  notReached (leave: number, now: number): number | undefined {
    if (leave !== this.#epoch) {
      return undefined
    }
    const length = this.#pause === undefined ? FIRST_PAUSE : Math.min(2 * this.#pause.length, LONGEST_PAUSE)
    this.#epoch++
    this.#pause = { until: now + length, length }
    return length
  }
}
