import { unlessAborted } from './abort.js'

/** So many things at once, and the others in line. */
export class Slots {
  #free: number
  readonly #line: Array<() => void> = []

  constructor (count: number) {
    this.#free = count
  }

  /** Does it once there is a slot. */
  async run<T> (signal: AbortSignal | undefined, what: () => Promise<T>): Promise<T> {
    signal?.throwIfAborted()
    await this.#take(signal)
    try {
      return await what()
    } finally {
      this.#give()
    }
  }

  async #take (signal: AbortSignal | undefined): Promise<void> {
    if (this.#free > 0) {
      this.#free--
      return
    }
    let mine = (): void => {}
    const turn = new Promise<void>(resolve => { mine = resolve })
    this.#line.push(mine)
    try {
      await unlessAborted(turn, signal)
    } catch (error) {
      const place = this.#line.indexOf(mine)
      if (place === -1) {
        // The turn came at the same moment.
        this.#give()
      } else {
        this.#line.splice(place, 1)
      }
      throw error
    }
  }

  #give (): void {
    const next = this.#line.shift()
    if (next === undefined) {
      this.#free++
    } else {
      next()
    }
  }
}
