import * as dagCbor from '@ipld/dag-cbor'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import { Problem, TransportError, type ClientEvents } from '../src/index.js'
import { SERVICE, TOKEN, World, answer, block, blocks, network, problem, xml } from './world.js'

describe('reading', () => {
  let world: World
  beforeEach(() => { world = new World() })

  it('goes straight to S3, which never sees the token', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, bytes)
    const client = world.client()
    expect(await client.get(cid)).to.deep.equal(bytes)
    expect(world.seen.map(({ side, what }) => `${side} ${what}`)).to.deep.equal(
      ['service GET /v1/info', 'service POST /v1/reads', 's3 GET'])
    expect(JSON.stringify(world.seen.filter(({ side }) => side === 's3'))).not.to.include(TOKEN)
    expect(client.traffic.s3).to.deep.equal({ requests: 1, up: 0, down: bytes.length })
    expect(client.traffic.service.requests).to.equal(2)
  })

  it('knows an absent block', async () => {
    const { cid } = await block('absent')
    expect(await world.client().get(cid)).to.equal(undefined)
    expect(world.count('service GET /v1/blocks')).to.equal(0)
  })

  it('of many at once shares requests for grants, and uses grants again', async () => {
    const all = await blocks(100)
    all.forEach(({ cid, bytes }) => { world.place(cid, bytes) })
    const client = world.client()
    for (let time = 0; time < 2; time++) {
      const got = await Promise.all(all.map(async ({ cid }) => client.get(cid)))
      expect(got).to.deep.equal(all.map(({ bytes }) => bytes))
      expect(world.count('service POST /v1/reads')).to.equal(1)
    }
    expect(world.count('s3 GET')).to.equal(200)
  })

  it('keeps to its concurrency', async () => {
    const all = await blocks(30)
    let [open, most] = [0, 0]
    world.intercept = async ({ side }) => {
      if (side === 's3') {
        most = Math.max(most, ++open)
        await new Promise(resolve => setTimeout(resolve))
        open--
      }
      return undefined
    }
    const client = world.client({ concurrency: 3 })
    await Promise.all(all.map(async ({ cid }) => client.get(cid)))
    expect(most).to.equal(3)
  })

  it('asks for a new grant once where S3 does not take it', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, bytes)
    let first = true
    world.intercept = ({ side }) => {
      const refuse = side === 's3' && first
      first &&= !refuse
      return refuse ? xml(403, 'AccessDenied') : undefined
    }
    expect(await world.client().get(cid)).to.deep.equal(bytes)
    expect(world.count('service POST /v1/reads')).to.equal(2)

    world.intercept = ({ side }) => side === 's3' ? xml(403, 'AccessDenied') : undefined
    expect(await world.client().get(cid), 'through the service').to.deep.equal(bytes)
    await fails(world.client({ direct: 'always' }).get(cid), 's3-refused')
  })

  it('uses no grant that has ended', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, bytes)
    world.info['limits'] = { ...world.info['limits'] as object, read_expires: 1 }
    const client = world.client()
    await client.get(cid)
    await new Promise(resolve => setTimeout(resolve, 950))
    await client.get(cid)
    expect(world.count('service POST /v1/reads')).to.equal(2)
  })

  it('never hands out wrong bytes', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, new TextEncoder().encode('another'))
    for (const direct of ['auto', 'never'] as const) {
      await fails(world.client({ direct }).get(cid), 'corrupt')
    }
    expect(world.count('s3 GET'), 'it may have gone wrong on the way').to.equal(2)
    world.place(cid, bytes)
    let first = true
    world.intercept = ({ side }) => {
      const alter = side === 's3' && first
      first &&= !alter
      return alter ? answer(200, new Uint8Array(3)) : undefined
    }
    expect(await world.client().get(cid)).to.deep.equal(bytes)
  })

  it('checks other hashes by the hashers given, and refuses those it cannot check', async () => {
    const digest = new Uint8Array(32).fill(7)
    const hasher = {
      code: 0x1e,
      name: 'seven',
      encode: () => digest,
      digest: () => ({ code: 0x1e, digest, size: 32, bytes: new Uint8Array([0x1e, 32, ...digest]) })
    }
    const cid = CID.createV1(0x55, hasher.digest())
    const bytes = new Uint8Array([1, 2, 3])
    world.place(cid, bytes)
    expect(await world.client({ hashers: [hasher] }).get(cid)).to.deep.equal(bytes)
    await fails(world.client().get(cid), 'unknown-hash')
    await fails(world.client().put(cid, bytes), 'unknown-hash')
    await fails(world.client().has(cid), 'unknown-hash')
    const short = CID.createV1(0x55, { code: 0x12, digest: digest.subarray(0, 19), size: 19, bytes: new Uint8Array([0x12, 19, ...digest.subarray(0, 19)]) })
    await fails(world.client().get(short), 'invalid')
  })

  it('reads sha2-512, and digests cut short', async () => {
    const bytes = new TextEncoder().encode('a block')
    for (const [code, name, length] of [[0x13, 'SHA-512', 64], [0x12, 'SHA-256', 20]] as const) {
      const digest = new Uint8Array(await crypto.subtle.digest(name, bytes)).slice(0, length)
      const cid = CID.createV1(0x55, { code, digest, size: length, bytes: new Uint8Array([code, length, ...digest]) })
      world.place(cid, bytes)
      expect(await world.client().get(cid)).to.deep.equal(bytes)
      world.place(cid, bytes.slice(1))
      await fails(world.client().get(cid), 'corrupt')
    }
  })

  it('answers identity CIDs from themselves', async () => {
    const cid = CID.parse('bafkqabtimvwgy3yk')
    const client = world.client()
    expect(new TextDecoder().decode(await client.get(cid))).to.equal('hello\n')
    expect(await client.has(cid)).to.equal(true)
    await client.put(cid, new Uint8Array())
    expect(world.seen).to.have.lengthOf(0)
  })

  it('falls back where S3 is not reached, says so, and comes back', async () => {
    const all = await blocks(50)
    all.forEach(({ cid, bytes }) => { world.place(cid, bytes) })
    world.intercept = ({ side }) => side === 's3' ? network() : undefined
    const client = world.client()
    const told: Array<ClientEvents['fallback']> = []
    client.on('fallback', event => told.push(event))
    const got = await Promise.all(all.map(async ({ cid }) => client.get(cid)))
    expect(got).to.deep.equal(all.map(({ bytes }) => bytes))
    expect(told.map(({ problem, seconds }) => [problem.code, seconds])).to.deep.equal([['s3-unreachable', 10]])
    const before = world.count('s3')
    await client.get(all[0]?.cid ?? fail())
    expect(world.count('s3'), 'for a while, S3 is left alone').to.equal(before)

    await fails(world.client({ direct: 'always' }).get(all[0]?.cid ?? fail()), 's3-unreachable')
  })

  it('leaves S3 alone where it is to', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, bytes)
    expect(await world.client({ direct: 'never' }).get(cid)).to.deep.equal(bytes)
    world.info['direct_reads'] = false
    expect(await world.client().get(cid)).to.deep.equal(bytes)
    expect(world.count('s3')).to.equal(0)
  })

  it('does not send blocks by http from a service of https', async () => {
    const { cid } = await block('a block')
    const secure = { url: SERVICE.replace('http:', 'https:') }
    await fails(world.client({ ...secure, direct: 'always' }).get(cid), 's3-insecure')
    expect(world.count('s3')).to.equal(0)
    expect(await world.client({ ...secure, direct: 'always', allowHttp: true }).get(cid)).to.equal(undefined)
    world.base = 'https://s3.test/bucket/'
    expect(await world.client({ ...secure, direct: 'always' }).get(cid)).to.equal(undefined)
  })

  it('needs no grants where anybody may read', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, bytes)
    world.info['reads'] = 'public'
    world.info['public'] = { version: 1, method: 'GET', base: world.base, layout: 'kubo', prefix: '', headers: {} }
    const client = world.client({ token: undefined })
    expect(await client.get(cid)).to.deep.equal(bytes)
    expect(await client.has(cid)).to.equal(true)
    expect(world.seen.map(({ side, what }) => `${side} ${what}`)).to.deep.equal(['service GET /v1/info', 's3 GET', 's3 HEAD'])
  })

  it('asks once more what the service is when another token comes', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, bytes)
    const apart = { ...world.info }
    const open = { ...world.info, reads: 'public', public: { version: 1, method: 'GET', base: world.base, layout: 'kubo', prefix: '', headers: {} } }
    let token: string | undefined
    // A tenant's blocks are apart, so its info names no public URLs.
    world.intercept = ({ what }) => {
      world.info = token === undefined ? open : apart
      return what === 'POST /v1/reads' && token === undefined ? problem(401, { code: 'unauthorised', message: 'no token' }) : undefined
    }
    const client = world.client({ token: () => token })
    expect(await client.get(cid)).to.deep.equal(bytes)
    expect(await client.get(cid)).to.deep.equal(bytes)
    expect(world.count('service POST /v1/reads')).to.equal(0)
    expect(world.count('service GET /v1/info')).to.equal(1)
    token = TOKEN
    expect(await client.get(cid)).to.deep.equal(bytes)
    expect(world.count('service POST /v1/reads')).to.equal(1)
    expect(world.count('service GET /v1/info')).to.equal(2)
  })

  it('does not take a missing bucket for an absent block', async () => {
    const { cid } = await block('a block')
    world.intercept = ({ side }) => side === 's3' ? xml(404, 'NoSuchBucket') : undefined
    await fails(world.client().get(cid), 'unavailable')
  })

  it('retries what may pass, and passes on what does not', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, bytes)
    let left = 3
    world.intercept = ({ what, side }) => {
      if (what === 'GET /v1/info' || left-- <= 0) {
        return undefined
      }
      return side === 's3' ? xml(503, 'SlowDown') : problem(429, { code: 'rate', message: 'slow' }, { 'retry-after': '0' })
    }
    const client = world.client({ retry: { base: 1, longest: 5000 } })
    const retries: unknown[] = []
    client.on('retry', ({ side, status }) => retries.push([side, status]))
    expect(await client.get(cid)).to.deep.equal(bytes)
    expect(retries).to.deep.equal([['service', 429], ['service', 429], ['service', 429]])

    left = Infinity
    world.intercept = ({ side }) => side === 's3' ? xml(503, 'SlowDown') : undefined
    await fails(world.client({ retry: { base: 1, attempts: 3 } }).get(cid), 'unavailable')

    world.intercept = ({ what }) => what === 'POST /v1/reads' ? problem(429, { code: 'rate', message: 'slow', retry_after: 3600 }) : undefined
    const rate = await fails(world.client().get(cid), 'rate')
    expect(rate.retryAfter, 'so long nobody waits').to.equal(3600)
  })

  it('tells of what the service says', async () => {
    const { cid } = await block('a block')
    for (const [said, code] of [
      [problem(403, { code: 'denied', message: 'no\nreads' }), 'denied'],
      [problem(403, { code: 'quota', message: 'm', retry_after: 60 }), 'quota'],
      [problem(418, { code: 'teapot', message: 'm' }), 'unknown'],
      [answer(404, new TextEncoder().encode('<html>'), 'text/html'), 'protocol'],
      [answer(200, new TextEncoder().encode('{}')), 'protocol'],
      [answer(200, new TextEncoder().encode('{')), 'protocol']
    ] as const) {
      world.intercept = ({ what }) => what === 'POST /v1/reads' ? said : undefined
      const before = world.seen.length
      await fails(world.client().get(cid), code)
      expect(world.seen.length - before, code).to.equal(2)
    }
    world.intercept = () => network()
    await fails(world.client({ retry: { base: 1, attempts: 2 } }).get(cid), 'service-unreachable')
    world.intercept = () => { throw new TransportError('redirect', 'elsewhere') }
    await fails(world.client().get(cid), 'protocol')
  })

  it('gets a new token once', async () => {
    const { cid } = await block('a block')
    const tokens = ['old', TOKEN]
    let given = 0
    const client = world.client({ token: async () => tokens[given++ > 1 ? 1 : 0] })
    expect(await client.get(cid)).to.equal(undefined)
    await fails(world.client({ token: () => 'old' }).get(cid), 'unauthorised')
    await fails(world.client({ token: 'old' }).get(cid), 'unauthorised')
  })

  it('asks the service about one block, and S3 about many', async () => {
    const all = await blocks(20)
    all.slice(10).forEach(({ cid, bytes }) => { world.place(cid, bytes) })
    const client = world.client()
    expect(await client.has(all[0]?.cid ?? fail())).to.equal(false)
    expect(await client.has(all[10]?.cid ?? fail())).to.equal(true)
    expect(world.count('s3')).to.equal(0)
    await client.get(all[10]?.cid ?? fail())
    const answers = await Promise.all(all.map(async ({ cid }) => client.has(cid)))
    expect(answers).to.deep.equal(all.map((_, i) => i >= 10))
    expect(world.count('s3 HEAD')).to.equal(20)
    expect(world.count('service HEAD')).to.equal(2)
  })

  it('ends when its caller gives up', async () => {
    const { cid } = await block('a block')
    for (const where of ['service GET /v1/info', 'service POST /v1/reads', 's3 GET']) {
      const controller = new AbortController()
      world.intercept = ({ side, what }) => {
        if (`${side} ${what}` === where) {
          controller.abort(new Error('enough'))
        }
        return undefined
      }
      const error: unknown = await world.client().get(cid, { signal: controller.signal }).catch((error: unknown) => error)
      expect(error, where).to.equal(controller.signal.reason)
    }
  })

  it('speaks DAG-CBOR with a codec', async () => {
    const { cid, bytes } = await block('a block')
    world.place(cid, bytes)
    const client = world.client({ dagCbor })
    expect(await client.get(cid)).to.deep.equal(bytes)
    const reads = world.seen.find(({ what }) => what === 'POST /v1/reads')
    expect(reads?.call.headers['content-type']).to.equal('application/vnd.ipld.dag-cbor')
    const sizes = [client.traffic.service.up]
    const json = world.client()
    await json.get(cid)
    sizes.push(json.traffic.service.up)
    expect(sizes[0]).to.be.lessThan(sizes[1] ?? 0)
    // The same map with a longer head.
    world.intercept = ({ what }) => what === 'POST /v1/reads' ? answer(200, new Uint8Array([0xb8, 0x00])) : undefined
    await fails(world.client({ dagCbor }).get(cid), 'protocol')
  })

  it('takes no URL that is none of a service', () => {
    for (const url of ['', 'service', 'ftp://h', 'http://u:canary@h', 'http://h?token=canary', 'http://h#canary']) {
      expect(() => world.client({ url })).to.throw(Problem).with.property('message').that.does.not.include('canary')
    }
    expect(world.client({ url: 'https://h.example/a/b//' }).service.url).to.equal('https://h.example/a/b')
  })

  it('shows its token nowhere', async () => {
    const client = world.client()
    world.intercept = () => problem(403, { code: 'denied', message: 'm' })
    const { cid } = await block('a block')
    const error = await fails(client.get(cid), 'denied')
    expect(JSON.stringify([client, error, error.stack])).not.to.include(TOKEN)
  })
})

/** That it fails with this code. */
export async function fails (what: Promise<unknown>, code: string): Promise<Problem> {
  const error: unknown = await what.then(() => undefined, (error: unknown) => error)
  expect(error).to.be.instanceOf(Problem)
  expect((error as Problem).code).to.equal(code)
  return error as Problem
}

function fail (): never {
  throw new Error('there are blocks enough')
}
