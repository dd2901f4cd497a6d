import * as dagCbor from '@ipld/dag-cbor'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import { type ClientEvents } from '../src/index.js'
import { fails } from './reading.js'
import { TOKEN, World, answer, block, blocks, network, problem, xml } from './world.js'

describe('writing', () => {
  let world: World
  beforeEach(() => { world = new World() })

  const puts = (): string[] => world.seen
    .filter(({ call }) => call.method === 'PUT')
    .map(({ side, call }) => `${side} ${new TextDecoder().decode(call.body)}`)

  it('goes straight to S3, under a lease that is completed', async () => {
    const { cid, bytes } = await block('a block')
    const client = world.client()
    await client.put(cid, bytes)
    expect(world.has(cid)).to.equal(true)
    expect(world.seen.map(({ side, what }) => `${side} ${what}`)).to.deep.equal([
      'service GET /v1/info', 'service POST /v1/writes', 's3 PUT', 'service POST /v1/writes/lease-0/complete'])
    expect(JSON.stringify(world.seen.filter(({ side }) => side === 's3'))).not.to.include(TOKEN)
    expect(client.traffic.s3).to.deep.equal({ requests: 1, up: bytes.length, down: 0 })
  })

  for (const codec of [undefined, dagCbor]) {
    it(`of many at once shares a lease, by ${codec === undefined ? 'JSON' : 'DAG-CBOR'}`, async () => {
      const all = await blocks(100)
      const client = world.client({ dagCbor: codec })
      await Promise.all(all.map(async ({ cid, bytes }) => client.put(cid, bytes)))
      expect(all.every(({ cid }) => world.has(cid))).to.equal(true)
      expect(world.count('s3 PUT')).to.equal(100)
      expect(world.leases.size).to.equal(1)
      expect(world.completed).to.deep.equal(['lease-0'])
    })
  }

  it('of what comes meanwhile makes the next lease', async () => {
    const all = await blocks(40)
    world.latency = 5
    const client = world.client()
    await client.info()
    await Promise.all(all.map(async ({ cid, bytes }, i) => {
      await new Promise(resolve => setTimeout(resolve, i < 20 ? 0 : 3))
      await client.put(cid, bytes)
    }))
    expect(world.leases.size).to.be.within(1, 6)
    expect(world.completed).to.have.lengthOf(world.leases.size)
  })

  it('keeps to the limits of one lease', async () => {
    const all = await blocks(25)
    const client = world.client({ batchBlocks: 10 })
    await Promise.all(all.map(async ({ cid, bytes }) => client.put(cid, bytes)))
    expect([...world.leases.values()].map(lease => lease.length)).to.deep.equal([10, 10, 5])
    const [first] = all
    await fails(client.put(first?.cid ?? fail(), new Uint8Array((1 << 20) + 1)), 'too-large')
  })

  it('of the same block at once is one upload', async () => {
    const { cid, bytes } = await block('a block')
    const client = world.client()
    await Promise.all([client.put(cid, bytes), client.put(cid, bytes)])
    expect(puts()).to.deep.equal(['s3 a block'])
  })

  it('sends a small block that is alone through the service', async () => {
    const { cid, bytes } = await block('a block')
    await world.client({ smallBlock: 4096 }).put(cid, bytes)
    expect(puts()).to.deep.equal(['service a block'])
    expect(world.leases.size).to.equal(0)
  })

  it('sends each block its way', async () => {
    const [a, b, c] = await blocks(3) as [Block, Block, Block]
    world.stored = cid => cid.equals(a.cid)
    world.proxied = cid => cid.equals(b.cid)
    const client = world.client()
    await Promise.all([a, b, c].map(async ({ cid, bytes }) => client.put(cid, bytes)))
    expect(puts().sort()).to.deep.equal(['s3 block 2', 'service block 1'])
    expect(world.completed).to.deep.equal(['lease-0'])
  })

  it('declares the SHA-256 of other hashes, and completes the staged', async () => {
    const bytes = new TextEncoder().encode('a block')
    const digest = new Uint8Array(await crypto.subtle.digest('SHA-512', bytes))
    const cid = CID.createV1(0x55, { code: 0x13, digest, size: 64, bytes: new Uint8Array([0x13, 64, ...digest]) })
    const other = await block('another')
    for (const codec of [undefined, dagCbor]) {
      world = new World()
      const client = world.client({ dagCbor: codec })
      await Promise.all([client.put(cid, bytes), client.put(other.cid, other.bytes)])
      expect(world.has(cid)).to.equal(true)
      expect(world.objects.size, 'nothing is left where it was staged').to.equal(2)
      expect(puts().sort()).to.deep.equal(['s3 a block', 's3 another'])
      expect(await client.get(cid)).to.deep.equal(bytes)
    }
  })

  it('of a bad block does not harm the others, which are not sent again', async () => {
    const all = await blocks(10)
    const bad = all[3] ?? fail()
    const client = world.client()
    const outcomes = await Promise.allSettled(all.map(async ({ cid, bytes }) =>
      client.put(cid, cid === bad.cid ? new TextEncoder().encode('altered!') : bytes)))
    expect(outcomes.map(({ status }) => status)).to.deep.equal(all.map(({ cid }) => cid === bad.cid ? 'rejected' : 'fulfilled'))
    await fails(Promise.reject((outcomes[3] as PromiseRejectedResult).reason), 'corrupt')
    expect(world.count('s3 PUT')).to.equal(10)
    expect(world.completed).to.deep.equal(['lease-1'])
    expect(world.leases.get('lease-1')).to.have.lengthOf(9)
    expect(world.has(bad.cid)).to.equal(false)
  })

  it('of a block that the service refuses does not harm the others', async () => {
    const all = await blocks(5)
    let refused = false
    world.intercept = ({ what }) => {
      if (what === 'POST /v1/writes' && !refused) {
        refused = true
        return problem(403, { code: 'denied', message: 'not this one', index: 2 })
      }
      return undefined
    }
    const client = world.client()
    const outcomes = await Promise.allSettled(all.map(async ({ cid, bytes }) => client.put(cid, bytes)))
    expect(outcomes.map(({ status }) => status === 'fulfilled')).to.deep.equal([true, true, false, true, true])

    world.intercept = ({ what }) => what === 'POST /v1/writes' ? problem(403, { code: 'quota', message: 'full', retry_after: 9 }) : undefined
    const quota = await fails(client.put((all[0] ?? fail()).cid, (all[0] ?? fail()).bytes), 'quota')
    expect(quota.retryAfter).to.equal(9)
  })

  it('of a block that its caller gives up does not harm the others', async () => {
    const all = await blocks(5)
    const controller = new AbortController()
    const given = all[1] ?? fail()
    world.intercept = async ({ side, call }) => {
      if (side === 's3' && new TextDecoder().decode(call.body) === 'block 1') {
        controller.abort()
      }
      return undefined
    }
    const client = world.client()
    const outcomes = await Promise.allSettled(all.map(async ({ cid, bytes }) =>
      client.put(cid, bytes, cid === given.cid ? { signal: controller.signal } : {})))
    expect(outcomes.map(({ status }) => status === 'fulfilled')).to.deep.equal([true, false, true, true, true])
    expect((outcomes[1] as PromiseRejectedResult).reason).to.equal(controller.signal.reason)
    expect(world.completed).to.deep.equal(['lease-1'])
    expect(world.count('s3 PUT')).to.equal(5)
  })

  it('sends again what the completion misses', async () => {
    const all = await blocks(5)
    let lost = 1
    world.intercept = ({ side, call }) =>
      side === 's3' && new TextDecoder().decode(call.body) === 'block 4' && lost-- > 0 ? answer(200) : undefined
    const client = world.client()
    await Promise.all(all.map(async ({ cid, bytes }) => client.put(cid, bytes)))
    expect(world.count('s3 PUT')).to.equal(6)
    expect(world.completed).to.deep.equal(['lease-0'])

    world = new World()
    world.intercept = ({ side, call }) =>
      side === 's3' && new TextDecoder().decode(call.body) === 'block 4' ? answer(200) : undefined
    const again = world.client()
    const outcomes = await Promise.allSettled(all.map(async ({ cid, bytes }) => again.put(cid, bytes)))
    expect(outcomes.map(({ status }) => status === 'fulfilled')).to.deep.equal([true, true, true, true, false])
    await fails(Promise.reject((outcomes[4] as PromiseRejectedResult).reason), 'incomplete')
  })

  it('takes a new lease where one has ended', async () => {
    const { cid, bytes } = await block('a block')
    let first = true
    world.intercept = ({ what }) => {
      const ended = what.endsWith('/complete') && first
      first &&= !ended
      return ended ? problem(404, { code: 'no-such-lease', message: 'it ended' }) : undefined
    }
    await world.client().put(cid, bytes)
    expect(world.completed).to.deep.equal(['lease-1'])
    expect(world.count('s3 PUT'), 'it lies there already').to.equal(1)
    world.intercept = ({ what }) => what.endsWith('/complete') ? problem(404, { code: 'no-such-lease', message: 'it ended' }) : undefined
    await fails(world.client().put(cid, bytes), 'unavailable')
  })

  it('takes what lies there already for stored', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, bytes)
    world.intercept = ({ side }) => side === 's3' ? xml(412, 'PreconditionFailed') : undefined
    await world.client().put(cid, bytes)
    expect(world.completed).to.deep.equal(['lease-0'])
  })

  it('falls back where S3 is not reached or takes no grant, and says so', async () => {
    const all = await blocks(20)
    for (const [fault, code] of [[network, 's3-unreachable'], [() => xml(403, 'AccessDenied'), 's3-refused']] as const) {
      world = new World()
      world.intercept = ({ side }) => side === 's3' ? fault() : undefined
      const client = world.client()
      const told: Array<ClientEvents['fallback']> = []
      client.on('fallback', event => told.push(event))
      await Promise.all(all.map(async ({ cid, bytes }) => client.put(cid, bytes)))
      expect(all.every(({ cid }) => world.has(cid))).to.equal(true)
      expect(told.map(({ problem }) => problem.code)).to.deep.equal([code])
      expect(client.traffic.s3.up > 0, 'what was not answered may never have left').to.equal(code === 's3-refused')
      const before = world.seen.length
      const { cid, bytes } = await block('one more')
      await client.put(cid, bytes)
      expect(world.seen.slice(before).map(({ what }) => what)).to.deep.equal([`PUT /v1/blocks/${cid.toString()}`])

      await fails(world.client({ direct: 'always' }).put(cid, bytes), code)
    }
  })

  it('goes through the service where it is to', async () => {
    const all = await blocks(3)
    await Promise.all(all.map(async ({ cid, bytes }) => world.client({ direct: 'never' }).put(cid, bytes)))
    world.info['writes'] = 'proxied'
    await Promise.all(all.map(async ({ cid, bytes }) => world.client().put(cid, bytes)))
    expect(world.count('s3')).to.equal(0)
    world.info['writes'] = 'none'
    await fails(world.client().put((all[0] ?? fail()).cid, (all[0] ?? fail()).bytes), 'denied')
  })

  it('tells how far uploads are', async () => {
    const { cid, bytes } = await block('a block')
    const client = world.client()
    const told: Array<ClientEvents['progress']> = []
    const off = client.on('progress', event => told.push(event))
    await client.put(cid, bytes)
    expect(told).to.deep.equal([{ cid, sent: bytes.length, size: bytes.length, side: 's3' }])
    off()
    await client.put(cid, bytes)
    expect(told).to.have.lengthOf(1)
  })

  it('takes header grants', async () => {
    const { cid, bytes } = await block('a block')
    const authorization = 'AWS4-HMAC-SHA256 Credential=x'
    world.intercept = ({ side, what, call }) => {
      if (side === 's3') {
        return answer(call.headers['authorization'] === authorization && !('content-length' in call.headers) ? 200 : 403)
      }
      return what === 'POST /v1/writes'
        ? problem(200, {
          lease: 'lease-0',
          expires: Math.floor(Date.now() / 1000) + 900,
          direct_grants: [{
            method: 'PUT',
            url: `${world.base}key`,
            headers: { authorization, 'content-length': '7', 'x-amz-date': '20130524T000000Z' },
            expires: 1
          }]
        })
        : what.endsWith('/complete') ? problem(200, { lease: 'lease-0', blocks: 1, bytes: 7 }) : undefined
    }
    await world.client().put(cid, bytes)
    expect(world.count('s3 PUT')).to.equal(1)
  })

  it('refuses grants that make no sense', async () => {
    const { cid, bytes } = await block('a block')
    const good = { lease: 'l', expires: 1 }
    for (const granted of [
      {}, { ...good, stored: [1] }, { ...good, stored: [0], proxied: [0] }, { ...good, stored: [0, 0] }, { ...good, stored: ['0'] },
      { ...good }, { ...good, direct_grants: [{ method: 'GET', url: world.base, headers: {}, expires: 1 }] },
      { ...good, direct_grants: [{ method: 'PUT', url: 'file:///etc', headers: {}, expires: 1 }] },
      { ...good, direct_grants: [{ method: 'PUT', url: world.base, headers: { cookie: 'a' }, expires: 1 }] },
      { lease: '', expires: 1, stored: [0] }, { lease: 'l', stored: [0] }
    ]) {
      world.intercept = ({ what }) => what === 'POST /v1/writes' ? problem(200, granted) : undefined
      await fails(world.client().put(cid, bytes), 'protocol')
    }
    expect(world.count('s3')).to.equal(0)
  })
})

type Block = Awaited<ReturnType<typeof block>>

function fail (): never {
  throw new Error('there are blocks enough')
}
