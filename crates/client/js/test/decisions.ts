import { expect } from 'chai'
import { Batch } from '../src/index.js'
import { Reach } from '../src/reach.js'
import { life, ReadGrants } from '../src/read-grants.js'
import { pause, retryAfter } from '../src/retry.js'
import { Slots } from '../src/slots.js'
import { blocks } from './world.js'

describe('decisions', () => {
  it('one failure closes the way to S3, and one trial opens it', () => {
    const reach = new Reach()
    const leaves = [reach.leave(0) ?? NaN, reach.leave(0) ?? NaN] as const
    expect(reach.notReached(leaves[0], 0)).to.equal(10_000)
    expect(reach.notReached(leaves[1], 0), 'it set out before: nothing new').to.equal(undefined)
    expect(reach.leave(5000)).to.equal(undefined)
    expect([reach.hasLeave(5000), reach.hasLeave(10_000)]).to.deep.equal([false, true])
    const trial = reach.leave(10_000) ?? NaN
    expect(reach.leave(10_000), 'one tries').to.equal(undefined)
    expect(reach.notReached(trial, 10_000)).to.equal(20_000)
    expect(reach.leave(30_000)).not.to.equal(undefined)
    expect(reach.reached()).to.equal(true)
    expect(reach.reached()).to.equal(false)
    expect(reach.leave(30_000)).not.to.equal(undefined)
    let now = 0
    for (let i = 0; i < 10; i++) {
      now += 1e9
      expect(reach.notReached(reach.leave(now) ?? NaN, now)).to.be.within(10_000, 300_000)
    }
  })

  it('waits grow, with jitter, and what the server asks is heeded', () => {
    const retry = { attempts: 4, base: 100, longest: 1000 }
    expect([1, 2, 3, 4].map(made => pause(retry, made, undefined, 1))).to.deep.equal([100, 200, 400, undefined])
    expect(pause(retry, 1, undefined, 0.5)).to.equal(50)
    expect(pause({ ...retry, attempts: 99 }, 50, undefined, 1)).to.equal(1000)
    expect(pause(retry, 1, 0, 1)).to.equal(100)
    expect(pause(retry, 1, 2, 0), 'longer than anybody waits').to.equal(undefined)
    expect([null, '3', ' 4 ', 'Wed, 21 Oct 2015 07:28:00 GMT', '-1'].map(retryAfter)).to.deep.equal(
      [undefined, 3, 4, undefined, undefined])
  })

  it('grants are used for nine tenths of their time, by the nearer of both clocks', async () => {
    const batch = Batch.from({
      version: 1, method: 'GET', base: 'http://h/', layout: 'kubo', prefix: '', headers: {}, query: 'a', expires: 1000, signatures: ''
    })
    expect(life(batch, 600, 900)).to.equal(90_000)
    expect(life(batch, 600, 0), 'our clock is behind').to.equal(540_000)
    expect(life(batch, 600, 2000)).to.equal(0)

    const [a, b, c] = (await blocks(3)).map(({ cid }) => cid)
    if (a === undefined || b === undefined || c === undefined) {
      throw new Error('there are blocks enough')
    }
    const grants = new ReadGrants(2)
    grants.keep([a, b], batch, 100)
    expect(grants.find(b, 99)).to.include({ batch, index: 1 })
    expect(grants.find(b, 100)).to.equal(undefined)
    grants.keep([c], batch, 200)
    expect(grants.find(a, 0), 'the oldest makes room').to.equal(undefined)
    expect(grants.find(c, 150)).to.include({ index: 0 })
    grants.forget(c)
    expect(grants.find(c, 150)).to.equal(undefined)
  })

  it('slots go on in order, past those who left the line', async () => {
    const slots = new Slots(1)
    const order: number[] = []
    let open = (): void => {}
    const first = slots.run(undefined, async () => new Promise<void>(resolve => { open = resolve }))
    const controller = new AbortController()
    const left = slots.run(controller.signal, async () => { order.push(0) }).catch((error: unknown) => error)
    const others = [1, 2].map(async n => slots.run(undefined, async () => { order.push(n) }))
    controller.abort()
    expect(await left).to.equal(controller.signal.reason)
    open()
    await Promise.all([first, ...others])
    expect(order).to.deep.equal([1, 2])
    await slots.run(undefined, async () => { order.push(3) })
    expect(order).to.deep.equal([1, 2, 3])
  })
})
