import { expect } from 'chai'
import type { Pair } from 'interface-blockstore'
import type { CID } from 'multiformats/cid'
import { DirectBlockstore } from '../src/index.js'
import { fails } from './reading.js'
import { World, block, blocks } from './world.js'

describe('the blockstore', () => {
  let world: World
  let store: DirectBlockstore
  beforeEach(() => {
    world = new World()
    store = new DirectBlockstore(world.client())
  })

  it('takes bytes in every form', async () => {
    const { cid, bytes } = await block('a block in pieces')
    const pieces = [bytes.subarray(0, 5), bytes.subarray(5)]
    for (const given of [bytes, pieces, generator(pieces)]) {
      expect(await store.put(cid, given)).to.equal(cid)
      expect(await whole(store.get(cid))).to.deep.equal(bytes)
      world.objects.clear()
    }
    await fails(store.put(cid, generator(Array.from({ length: 3 }, () => new Uint8Array(1 << 19)))), 'too-large')
  })

  it('gives each of many in order, and an absent one as its own failure', async () => {
    const all = await blocks(200)
    world.latency = 5
    for (const { cid, bytes } of all) {
      if (cid !== all[7]?.cid) {
        world.place(cid, bytes)
      }
    }
    let index = 0
    for await (const pair of store.getMany(generator(all.map(({ cid }) => cid)))) {
      expect(pair.cid).to.equal(all[index]?.cid)
      const bytes = await whole(pair.bytes).catch((error: unknown) => error)
      if (index === 7) {
        expect(bytes).to.have.property('name', 'NotFoundError')
      } else {
        expect(bytes).to.deep.equal(all[index]?.bytes)
      }
      index++
    }
    expect(index).to.equal(200)
    expect(world.count('service POST /v1/reads'), 'grants are asked for ahead').to.be.at.most(5)
  })

  it('answers what a source has, and does not wait for more', async () => {
    const [first, second] = await blocks(2)
    let next = (): void => {}
    const gate = new Promise<void>(resolve => { next = resolve })
    async function * source (): AsyncGenerator<{ cid: CID, bytes: Uint8Array }> {
      if (first !== undefined) yield first
      await gate
      if (second !== undefined) yield second
    }
    const got: CID[] = []
    for await (const cid of store.putMany(source())) {
      got.push(cid)
      next()
    }
    expect(got).to.deep.equal([first?.cid, second?.cid])
  })

  it('stops when its caller leaves', async () => {
    const all = await blocks(500)
    all.forEach(({ cid, bytes }) => { world.place(cid, bytes) })
    let taken = 0
    let closed = false
    async function * source (): AsyncGenerator<CID> {
      try {
        for (const { cid } of all) {
          taken++
          yield cid
        }
      } finally {
        closed = true
      }
    }
    for await (const { bytes } of new DirectBlockstore(world.client()).getMany(source())) {
      await whole(bytes)
      break
    }
    await new Promise(resolve => setTimeout(resolve, 10))
    expect(closed).to.equal(true)
    const seen = world.seen.length
    await new Promise(resolve => setTimeout(resolve, 10))
    expect(world.seen).to.have.lengthOf(seen)
    expect(taken).to.be.at.most(500)
    expect(world.count('s3')).to.be.lessThan(200)
  })

  it('passes on what a source throws, after what it had', async () => {
    const [first] = await blocks(1)
    async function * source (): AsyncGenerator<{ cid: CID, bytes: Uint8Array }> {
      if (first !== undefined) yield first
      throw new Error('the source broke')
    }
    const got: CID[] = []
    const outcome: unknown = await (async () => {
      for await (const cid of store.putMany(source())) got.push(cid)
    })().catch((error: unknown) => error)
    expect(got).to.deep.equal([first?.cid])
    expect(outcome).to.have.property('message', 'the source broke')
  })

  it('lists all pages, and gets the grants of a page at once', async () => {
    const all = await blocks(35)
    all.forEach(({ cid, bytes }) => { world.place(cid, bytes) })
    const pairs: Pair[] = []
    for await (const pair of store.getAll()) pairs.push(pair)
    expect(pairs.map(({ cid }) => cid.toString()).sort()).to.deep.equal(all.map(({ cid }) => cid.toString()).sort())
    expect(world.count('service POST /v1/reads'), 'nothing is read unless asked for').to.equal(0)
    for (const { cid, bytes } of pairs) {
      expect(await whole(bytes)).to.deep.equal(all.find(block => block.cid.equals(cid))?.bytes)
    }
    expect(world.count('service POST /v1/reads')).to.equal(4)
  })

  it('deletes through the service', async () => {
    const all = await blocks(10)
    all.forEach(({ cid, bytes }) => { world.place(cid, bytes) })
    const deleted: CID[] = []
    for await (const cid of store.deleteMany(all.map(({ cid }) => cid))) deleted.push(cid)
    expect(deleted).to.deep.equal(all.map(({ cid }) => cid))
    expect(world.objects.size).to.equal(0)
    expect(world.count('service DELETE')).to.equal(10)
    expect(world.count('s3')).to.equal(0)
    await store.delete(all[0]?.cid as CID)
  })
})

async function whole (bytes: Pair['bytes']): Promise<Uint8Array> {
  const chunks: number[] = []
  for await (const chunk of bytes) chunks.push(...chunk)
  return new Uint8Array(chunks)
}

async function * generator<T> (items: T[]): AsyncGenerator<T> {
  yield * items
}
