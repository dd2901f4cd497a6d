/**
 * One request for what callers ask for at once.
 *
 * What comes in the same turn goes together. What comes while a request is under way goes with the
 * next, which starts when that has ended. So nobody waits for company, and many callers make few
 * requests.
 */
export class Gather<T, R> {
  readonly #ask: (items: T[]) => Promise<R>
  readonly #most: number
  #next: Flight<T, R> | undefined
  #last: Promise<unknown> = Promise.resolve()

  /** @param most the most items of one request */
  constructor (most: number, ask: (items: T[]) => Promise<R>) {
    this.#ask = ask
    this.#most = most
  }

  /** Joins the next request: its result, and the place of the item in it. */
  async join (item: T): Promise<{ result: R, index: number }> {
    if (this.#next === undefined || this.#next.items.length >= this.#most) {
      this.#next = this.#start()
    }
    const { items, result } = this.#next
    const index = items.push(item) - 1
    return { result: await result, index }
  }

  #start (): Flight<T, R> {
    const items: T[] = []
    const result = this.#last.then(async () => {
      if (this.#next?.items === items) {
        this.#next = undefined
      }
      return this.#ask(items)
    })
    // How it ended is not the concern of the one after it.
    this.#last = result.catch(() => {})
    return { items, result }
  }
}

interface Flight<T, R> {
  readonly items: T[]
  readonly result: Promise<R>
}
