import { unlessAborted } from './abort.js'
import type { Events } from './events.js'
import type { Info } from './info.js'
import { Problem } from './problem.js'
import { Reach } from './reach.js'
import type { S3, S3Answer } from './s3.js'
import type { Service } from './service.js'
import { Slots } from './slots.js'
import type { Verifier } from './verify.js'

/** Whether blocks go straight to S3: where that works, or else fail, or never. */
export type Direct = 'auto' | 'always' | 'never'

export interface Settings {
  readonly direct: Direct
  readonly concurrency: number
  readonly smallBlock: number
  readonly batchBlocks: number
}

/** Leave for one block to go straight to S3. */
export type Leave = number

/** What reading and writing share: both sides of the network, and what is known of them. */
export class Core {
  readonly slots: Slots
  readonly #reach = new Reach()
  #info: { token: string | undefined, info: Promise<Info> } | undefined
  #bucketSeen = false

  constructor (
    readonly service: Service,
    readonly s3: S3,
    readonly verifier: Verifier,
    readonly events: Events,
    readonly settings: Settings
  ) {
    this.slots = new Slots(settings.concurrency)
  }

  /** What the service is for the bearer of the token. It is asked once for each. */
  async info (signal?: AbortSignal): Promise<Info> {
    const token = await this.service.token()
    if (this.#info === undefined || this.#info.token !== token) {
      const asked = { token, info: this.service.info() }
      this.#info = asked
      asked.info.catch(() => {
        if (this.#info === asked) {
          this.#info = undefined
        }
      })
    }
    return unlessAborted(this.#info.info, signal)
  }

  /** Leave for a block to go straight to S3, where it may. */
  leave (): Leave | undefined {
    switch (this.settings.direct) {
      case 'auto': return this.#reach.leave(performance.now())
      case 'always': return 0
      case 'never': return undefined
    }
  }

  /** Whether {@link leave} would give leave. */
  get hasLeave (): boolean {
    const { direct } = this.settings
    return direct === 'always' || (direct === 'auto' && this.#reach.hasLeave(performance.now()))
  }

  /** Whether S3 was seen to have the bucket, so that what is not there can only be a block. */
  get bucketSeen (): boolean {
    return this.#bucketSeen
  }

  /**
   * Takes notice of how it ended. Whether the block is to go through the service instead.
   *
   * @throws Problem where S3 was not reached and nothing may go through the service.
   */
  learn (leave: Leave, answer: S3Answer): boolean {
    if (answer.kind === 'unreached') {
      return this.fallBack(leave, answer.problem)
    }
    this.#bucketSeen ||= answer.kind === 'done' || answer.kind === 'absent' || answer.kind === 'stored'
    // That a grant is refused is no sign that others are taken.
    if (answer.kind !== 'refused' && this.#reach.reached()) {
      this.events.emit('reached', {})
    }
    return false
  }

  /** Sends blocks through the service from now on, for a while. Always true, or the problem. */
  fallBack (leave: Leave, problem: Problem): true {
    if (this.settings.direct === 'always') {
      throw problem
    }
    const pause = this.#reach.notReached(leave, performance.now())
    if (pause !== undefined) {
      this.events.emit('fallback', { problem, seconds: pause / 1000 })
    }
    return true
  }
}
