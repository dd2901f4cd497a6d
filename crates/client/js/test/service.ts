// The tests that want a real service, and S3 behind it.
import * as dagCbor from '@ipld/dag-cbor'
import { unixfs } from '@helia/unixfs'
import { MemoryBlockstore } from 'blockstore-core'
import { expect } from 'chai'
import { createHeliaLight } from 'helia'
import type { Blockstore } from 'interface-blockstore'
import { interfaceBlockstoreTests } from 'interface-blockstore-tests'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { DirectBlockstore, type ClientEvents, type DirectOptions } from '../src/index.js'
import { access } from './access.js'
import { fails } from './reading.js'

const { url, token } = access().service ?? { url: '', token: '' }

const opened = (options: Partial<DirectOptions> = {}): DirectBlockstore => new DirectBlockstore({ url, token, ...options })

async function emptied (store: DirectBlockstore): Promise<void> {
  async function * all (): AsyncGenerator<CID> {
    for await (const { cid } of store.getAll()) yield cid
  }
  for await (const _ of store.deleteMany(all()));
}

const ways: Record<string, Partial<DirectOptions>> = {
  'as it comes': {},
  'straight to S3, by DAG-CBOR': { direct: 'always', smallBlock: 0, dagCbor },
  'through the service': { direct: 'never' }
}

for (const [way, options] of Object.entries(ways)) {
  describe(`interface-blockstore, ${way}`, () => {
    // The suite wants an empty store for each test.
    interfaceBlockstoreTests<Blockstore>({
      setup: async () => {
        const store = opened(options)
        await emptied(store)
        return store
      },
      teardown: async store => emptied(store as DirectBlockstore)
    })
  })
}

describe('a service', () => {
  it('is told apart by what it says of itself', async () => {
    const info = await opened().client.info()
    expect(info.writes).to.equal('direct')
    expect(info.server).to.match(/^cidbucket\//)
    expect(info.limits.maxBlock).to.be.at.least(1 << 20)
  })

  it('moves blocks past itself', async () => {
    const store = opened()
    const blocks = await Promise.all(Array.from({ length: 64 }, async () => random(256 << 10, sha256)))
    for await (const _ of store.putMany(blocks));
    const bytes = 64 * (256 << 10)
    const written = store.client.traffic
    expect(written.s3.up).to.equal(bytes)
    expect((written.service.up + written.service.down) * 1000).to.be.lessThan(bytes)

    let read = 0
    for await (const pair of store.getMany(blocks.map(({ cid }) => cid))) {
      for await (const chunk of pair.bytes) {
        expect(chunk).to.deep.equal(blocks[read]?.bytes)
        read++
      }
    }
    const { service, s3 } = store.client.traffic
    expect(s3.down).to.equal(bytes)
    expect((service.up + service.down - written.service.up - written.service.down) * 1000).to.be.lessThan(bytes)
    await emptied(store)
  })

  it('stores no wrong bytes', async () => {
    const { cid, bytes } = await random(10_000, sha256)
    const altered = bytes.slice()
    altered[0] = (altered[0] ?? 0) ^ 1
    for (const direct of ['always', 'never'] as const) {
      await fails(opened({ direct, smallBlock: 0 }).client.put(cid, altered), 'corrupt')
      expect(await opened().has(cid)).to.equal(false)
    }
  })

  it('stores hashes that S3 cannot check', async () => {
    const store = opened({ direct: 'always', smallBlock: 0 })
    const { cid, bytes } = await random(10_000, sha512)
    await store.put(cid, bytes)
    expect(await store.client.get(cid)).to.deep.equal(bytes)
    const { bytes: others } = await random(10_000, sha512)
    await store.client.put(cid, others).then(
      () => { throw new Error('others were stored') },
      (error: unknown) => { expect(error).to.have.property('code').that.is.oneOf(['corrupt', 'incomplete']) })
    expect(await store.client.get(cid)).to.deep.equal(bytes)
    await store.delete(cid)
  })

  it('stores the empty block', async () => {
    const store = opened({ direct: 'always', smallBlock: 0 })
    const cid = CID.createV1(raw.code, await sha256.digest(new Uint8Array()))
    await store.put(cid, new Uint8Array())
    expect(await store.client.get(cid)).to.have.lengthOf(0)
    await store.delete(cid)
  })

  it('says what is wrong with a token', async () => {
    const { cid } = await random(10, sha256)
    const altered = `${token.slice(0, -4)}AAAA`
    await fails(opened({ token: altered }).client.get(cid), 'unauthorised')
    await fails(opened({ token: undefined }).client.put(cid, new Uint8Array(5000)), 'unauthorised')
  })

  it('is told of progress', async () => {
    const { client } = opened()
    const told: Array<ClientEvents['progress']> = []
    client.on('progress', event => told.push(event))
    const { cid, bytes } = await random(1 << 20, sha256)
    await client.put(cid, bytes)
    expect(told.at(-1)).to.include({ cid, sent: bytes.length, size: bytes.length, side: 's3' })
    await client.service.delete(cid)
  })

  it('is a node\'s blockstore by one line', async () => {
    const data = (await random(3 << 20, sha256)).bytes
    const helia = createHeliaLight({ blockstore: opened() })
    const cid = await unixfs(helia).addBytes(data)
    const elsewhere = createHeliaLight({ blockstore: new MemoryBlockstore() })
    expect(cid.toString()).to.equal((await unixfs(elsewhere).addBytes(data)).toString())

    const reader = createHeliaLight({ blockstore: opened() })
    const read = new Uint8Array(data.length)
    let at = 0
    for await (const chunk of unixfs(reader).cat(cid)) {
      read.set(chunk, at)
      at += chunk.length
    }
    expect(read).to.deep.equal(data)
    await emptied(opened())
  })
})

async function random (size: number, hasher: typeof sha256 | typeof sha512): Promise<{ cid: CID, bytes: Uint8Array<ArrayBuffer> }> {
  const bytes = new Uint8Array(size)
  // No more than 64 KiB at once.
  for (let at = 0; at < size; at += 65_536) {
    crypto.getRandomValues(bytes.subarray(at, Math.min(size, at + 65_536)))
  }
  return { cid: CID.createV1(raw.code, await hasher.digest(bytes)), bytes }
}
