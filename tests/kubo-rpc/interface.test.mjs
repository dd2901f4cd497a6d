// The cases of js-kubo-rpc-client's interface tests that are about what this node does, in our own words: of
// block, dag, pin, refs, repo, add, cat, ls and get, each under its name there.

import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, it } from 'node:test'
import * as dagCBOR from '@ipld/dag-cbor'
import * as dagPB from '@ipld/dag-pb'
import { UnixFS } from 'ipfs-unixfs'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import { identity } from 'multiformats/hashes/identity'
import { sha256, sha512 } from 'multiformats/hashes/sha2'
import { readCar, writeCar } from './car.mjs'
import { all, bytes, startNode } from './node.mjs'
import { readTar } from './tar.mjs'

const utf8 = (text) => new TextEncoder().encode(text)
const text = (bytes) => new TextDecoder().decode(bytes)
let n = 0
const unique = (prefix = 'block') => utf8(`${prefix} ${process.pid} ${Date.now()} ${n++}`)
const MIB = 1024 * 1024
const MISSING = 'bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy'

for (const over of ['folder', 'dev']) {
  describe(`over ${over}`, () => {
    let node
    let ipfs
    before(async () => {
      node = await startNode(over)
      ipfs = node.api
    })
    after(() => node.stop())

    const putNode = async (value, codec = dagCBOR) => {
      return ipfs.block.put(codec.encode(value), { format: codec.name, version: 1 })
    }
    const clearPins = async () => {
      for (const { cid } of await all(ipfs.pin.ls({ type: 'recursive' }))) await ipfs.pin.rm(cid)
      for (const { cid } of await all(ipfs.pin.ls({ type: 'direct' }))) await ipfs.pin.rm(cid)
    }
    const pinType = async (cid, type = 'all') => {
      const pins = await all(ipfs.pin.ls({ paths: cid, type }))
      return pins[0].type
    }

    describe('.block.get', () => {
      it('should get by CID', async () => {
        const data = unique()
        const cid = await ipfs.block.put(data)
        assert.deepEqual(await ipfs.block.get(cid), data)
      })

      it('should get an empty block', async () => {
        const cid = await ipfs.block.put(new Uint8Array(0), { format: 'dag-pb', mhtype: 'sha2-256', version: 0 })
        assert.equal((await ipfs.block.get(cid)).length, 0)
      })

      it('should get a block added as CIDv1 with a CIDv0', async () => {
        const data = unique()
        const v1 = await ipfs.block.put(data, { version: 1, format: 'dag-pb' })
        assert.equal(v1.version, 1)
        assert.deepEqual(await ipfs.block.get(v1.toV0()), data)
      })

      it('should get a block with an identity CID, without putting first', async () => {
        const data = utf8('inline')
        const cid = CID.createV1(raw.code, await identity.digest(data))
        assert.deepEqual(await ipfs.block.get(cid), data)
      })

      it('should return an error for an invalid CID', async () => {
        await assert.rejects(ipfs.block.get('Non-base58 character'), /invalid path/)
      })

      it('should return an error for a block that is not there', async () => {
        await assert.rejects(ipfs.block.get(CID.parse(MISSING)), {
          message: `block was not found locally (offline): ipld: could not find ${MISSING}`
        })
      })
    })

    describe('.block.put', () => {
      it('should put a buffer, using defaults', async () => {
        const data = unique()
        const cid = await ipfs.block.put(data)
        assert.equal(cid.toString(), CID.createV1(raw.code, await sha256.digest(data)).toString())
      })

      it('should put a buffer, using options', async () => {
        const data = unique()
        const cid = await ipfs.block.put(data, { format: 'raw', mhtype: 'sha2-512', version: 1, pin: true })
        assert.equal(cid.toString(), CID.createV1(raw.code, await sha512.digest(data)).toString())
        assert.equal((await all(ipfs.pin.ls({ paths: cid }))).length, 1)
      })

      it('should fail to put a big block', async () => {
        await assert.rejects(ipfs.block.put(new Uint8Array(2 * MIB + 1)), /produced block is over 2MiB/)
        const digest = await sha256.digest(new Uint8Array(2 * MIB + 1))
        await assert.rejects(ipfs.block.get(CID.createV1(raw.code, digest)), /could not find/, 'nothing is stored')
      })

      it('should put a big block with `allowBigBlock`', async () => {
        const cid = await ipfs.block.put(new Uint8Array(MIB + 1), { allowBigBlock: true })
        assert.equal(cid.toString(), 'bafkreibmw5hnxj2uvaorehe5w2btobfi47kbpznrhunbt5fff4ah2zccmq')
      })
    })

    describe('.block.rm', () => {
      it('should remove by CID object', async () => {
        const cid = await ipfs.block.put(unique())
        const refs = async () => (await all(ipfs.refs.local())).map(({ ref }) => ref)
        assert.ok((await refs()).includes(cid.toString()))
        const [removed] = await all(ipfs.block.rm(cid))
        assert.equal(removed.cid.toString(), cid.toString())
        assert.equal(removed.error, undefined)
        assert.ok(!(await refs()).includes(cid.toString()))
      })

      it('should remove multiple CIDs', async () => {
        const cids = [await ipfs.block.put(unique()), await ipfs.block.put(unique()), await ipfs.block.put(unique())]
        const removed = await all(ipfs.block.rm(cids))
        assert.deepEqual(removed.map(({ cid }) => cid.toString()), cids.map(String))
        assert.ok(removed.every(({ error }) => error === undefined))
      })

      it('should error when removing non-existent blocks', async () => {
        const [removed] = await all(ipfs.block.rm(CID.parse(MISSING)))
        assert.match(removed.error.message, /could not find/)
      })

      it('should not error when force removing non-existent blocks', async () => {
        const [removed] = await all(ipfs.block.rm(CID.parse(MISSING), { force: true }))
        assert.equal(removed.error, undefined)
      })

      it('should return empty output when removing blocks quietly', async () => {
        assert.deepEqual(await all(ipfs.block.rm(await ipfs.block.put(unique()), { quiet: true })), [])
      })

      it('should error when removing pinned blocks', async () => {
        const child = await ipfs.block.put(unique())
        const cid = await putNode({ child })
        await ipfs.pin.add(cid)
        const removed = await all(ipfs.block.rm([cid, child]))
        assert.match(removed[0].error.message, /pinned: recursive/)
        assert.match(removed[1].error.message, new RegExp(`pinned via ${cid}`))
        assert.ok(await ipfs.block.get(child))
      })

      it('should throw error for invalid CID input', async () => {
        await assert.rejects(all(ipfs.block.rm('INVALID CID')))
      })
    })

    describe('.block.stat', () => {
      it('should stat by CID', async () => {
        const data = unique()
        const cid = await ipfs.block.put(data)
        const stat = await ipfs.block.stat(cid)
        assert.equal(stat.cid.toString(), cid.toString())
        assert.equal(stat.size, data.length)
      })

      it('should return error for invalid argument', async () => {
        await assert.rejects(ipfs.block.stat('invalid'))
      })
    })

    describe('.dag', () => {
      it('put and get: dag-cbor, dag-pb and raw, with sha2-256 and sha2-512', async () => {
        const pb = dagPB.prepare({ Data: utf8('some data') })
        for (const [value, storeCodec] of [[{ a: [1, 'x'] }, 'dag-cbor'], [pb, 'dag-pb'], [utf8('raw'), 'raw']]) {
          for (const hashAlg of ['sha2-256', 'sha2-512']) {
            const cid = await ipfs.dag.put(value, { storeCodec, hashAlg })
            assert.equal(cid.multihash.code, hashAlg === 'sha2-256' ? sha256.code : sha512.code)
            assert.deepEqual((await ipfs.dag.get(cid)).value, value)
          }
        }
      })

      it('put: should return the cid', async () => {
        const value = { data: utf8('some other data') }
        const digest = await sha256.digest(dagCBOR.encode(value))
        assert.equal((await ipfs.dag.put(value)).toString(), CID.createV1(dagCBOR.code, digest).toString())
      })

      it('put: input and store codec may differ', async () => {
        const cid = await ipfs.dag.put(utf8('{"foo":"dag-cbor-bar"}'), { inputCodec: 'dag-json', storeCodec: 'dag-cbor' })
        assert.equal(cid.toString(), 'bafyreic6f672hnponukaacmk2mmt7vs324zkagvu4hcww6yba6kby25zce')
        await assert.rejects(ipfs.dag.put(utf8('{"foo":'), { inputCodec: 'dag-json', storeCodec: 'dag-cbor' }), /dag-json/)
      })

      it('get: should traverse from one dag-cbor node to another', async () => {
        const cid1 = await ipfs.dag.put({ foo: 'dag-cbor-bar' })
        const cid2 = await ipfs.dag.put({ other: cid1 })
        assert.equal((await ipfs.dag.get(cid2, { path: 'other/foo' })).value, 'dag-cbor-bar')
        assert.ok((await ipfs.dag.get(cid2, { path: '/other', localResolve: true })).value instanceof CID)
      })

      it('resolve: paths inside of nodes and across them', async () => {
        const cid0 = await ipfs.dag.put({ ca: [5, 6, 7], cb: 'foo' })
        const cid1 = await ipfs.dag.put({ a: 1, b: [1, 2, 3], c: cid0 })
        for (const [path, cid, rest] of [['c/cb', cid0, '/cb'], ['c/ca/1', cid0, '/ca/1'], ['b/2', cid1, '/b/2'], ['c', cid0, '']]) {
          const resolved = await ipfs.dag.resolve(`/ipfs/${cid1}/${path}`)
          assert.equal(resolved.cid.toString(), cid.toString())
          assert.equal(resolved.remainderPath, rest)
        }
      })

      it('resolve: a path inside a dag-pb node linked to from another dag-pb node', async () => {
        const child = dagPB.prepare({ Data: utf8('some other data') })
        const childCid = await ipfs.dag.put(child, { storeCodec: 'dag-pb' })
        const parent = dagPB.prepare({ Data: utf8('derp'), Links: [{ Name: 'foo', Tsize: 17, Hash: childCid }] })
        const parentCid = await ipfs.dag.put(parent, { storeCodec: 'dag-pb' })
        const resolved = await ipfs.dag.resolve(parentCid, { path: '/foo' })
        assert.equal(resolved.cid.toString(), childCid.toString())
      })

      it('export: should export a car file', async () => {
        const child = await putNode(dagPB.prepare({ Data: unique() }), dagPB)
        const parent = await putNode(dagPB.prepare({ Links: [{ Hash: child, Tsize: 9, Name: '' }] }), dagPB)
        const grandParent = await putNode({ parent })
        const car = readCar(await bytes(ipfs.dag.export(grandParent)))
        assert.deepEqual(car.roots.map(String), [grandParent.toString()])
        assert.deepEqual(car.blocks.map(({ cid }) => cid.toString()), [grandParent, parent, child].map(String))
      })

      it('import: should import car files, and pin their roots', async () => {
        const cars = []
        for (let i = 0; i < 2; i++) {
          const blocks = []
          for (let j = 0; j < 5; j++) {
            const data = unique()
            blocks.push({ cid: CID.createV1(raw.code, await sha256.digest(data)), bytes: data })
          }
          cars.push(blocks)
        }
        const imported = await all(ipfs.dag.import(cars.map((blocks) => [writeCar([blocks[0].cid], blocks)])))
        assert.deepEqual(imported.map(({ root }) => [root.cid.toString(), root.pinErrorMsg]),
          cars.map((blocks) => [blocks[0].cid.toString(), '']))
        for (const { cid, bytes } of cars.flat()) assert.deepEqual(await ipfs.block.get(cid), bytes)
        assert.equal(await pinType(cars[0][0].cid), 'recursive')
      })

      it('import: without pinning the roots', async () => {
        const data = unique()
        const cid = CID.createV1(raw.code, await sha256.digest(data))
        await all(ipfs.dag.import([[writeCar([cid], [{ cid, bytes: data }])]], { pinRoots: false }))
        await assert.rejects(all(ipfs.pin.ls({ paths: cid })), /is not pinned/)
      })

      it('import: should import car with roots but no blocks', async () => {
        const [{ root }] = await all(ipfs.dag.import([[writeCar([CID.parse(MISSING)], [])]]))
        assert.match(root.pinErrorMsg, /ipld: could not find/)
      })

      it('import: refuses blocks that are not those of their CIDs, and what is cut off', async () => {
        const data = unique()
        const cid = CID.createV1(raw.code, await sha256.digest(data))
        const other = CID.createV1(raw.code, await sha256.digest(unique()))
        const wrong = writeCar([other], [{ cid: other, bytes: data }])
        await assert.rejects(all(ipfs.dag.import([[wrong]])), /import failed/)
        const car = writeCar([cid], [{ cid, bytes: data }])
        await assert.rejects(all(ipfs.dag.import([[car.subarray(0, car.length - 1)]])), /import failed/)
      })
    })

    describe('.pin', () => {
      const fixture = {}
      before(async () => {
        await clearPins()
        const added = await all(ipfs.addAll([
          { path: 'test-folder/ipfs-add.js', content: utf8('hello add') },
          { path: 'test-folder/files/ipfs.txt', content: utf8('hello ipfs') }
        ], { pin: false, cidVersion: 0 }))
        const cidOf = (path) => added.find((entry) => entry.path === path).cid
        fixture.directory = cidOf('test-folder')
        fixture.files = [cidOf('test-folder/ipfs-add.js'), cidOf('test-folder/files/ipfs.txt')]
        fixture.one = (await ipfs.add(utf8('one'), { pin: false, cidVersion: 0 })).cid
        fixture.two = (await ipfs.add(utf8('two'), { pin: false, cidVersion: 0 })).cid
      })
      beforeEach(clearPins)
      const pins = async (options) => (await all(ipfs.pin.ls(options))).map(({ cid, type, name }) => [cid.toString(), type, name])

      it('ls: should list all types of pins', async () => {
        await ipfs.pin.add(fixture.directory)
        await ipfs.pin.add(fixture.one, { name: 'file-one' })
        await ipfs.pin.add(fixture.two, { recursive: false, name: 'file-two' })
        const listed = await pins()
        for (const pin of [
          [fixture.directory.toString(), 'recursive', undefined],
          [fixture.one.toString(), 'recursive', undefined],
          [fixture.two.toString(), 'direct', undefined],
          [fixture.files[0].toString(), 'indirect', undefined],
          [fixture.files[1].toString(), 'indirect', undefined]
        ]) assert.ok(listed.some((other) => String(other) === String(pin)), String(pin))
        assert.equal((await pins({ type: 'recursive' })).length, 2)
        assert.deepEqual(await pins({ type: 'direct' }), [[fixture.two.toString(), 'direct', undefined]])
        const indirect = await pins({ type: 'indirect' })
        assert.equal(indirect.length, 3)
        assert.ok(indirect.every(([, type]) => type === 'indirect'))
        // With names.
        assert.deepEqual((await pins({ name: 'file' })).map(([, , name]) => name).sort(), ['file-one', 'file-two'])
        assert.deepEqual(await pins({ name: 'file-one' }), [[fixture.one.toString(), 'recursive', 'file-one']])
        assert.deepEqual(await pins({ name: 'no such' }), [])
        assert.deepEqual(await pins({ paths: fixture.one, names: true }), [[fixture.one.toString(), 'recursive', 'file-one']])
        // By path.
        const path = `/ipfs/${fixture.directory}/files/ipfs.txt`
        assert.deepEqual(await pins({ paths: path, type: 'indirect' }),
          [[fixture.files[1].toString(), `indirect through ${fixture.directory}`, undefined]])
        await assert.rejects(pins({ paths: path, type: 'direct' }), { message: `path '${path}' is not pinned` })
        await assert.rejects(pins({ paths: `/ipfs/${fixture.directory}/I-DONT-EXIST.txt`, type: 'direct' }),
          { message: `no link named "I-DONT-EXIST.txt" under ${fixture.directory}` })
        assert.equal((await pins({ paths: [fixture.one, fixture.two] })).length, 2)
        await assert.rejects(pins({ type: '__proto__' }), /invalid type/)
      })

      it('add: returns the CID, recursive and direct', async () => {
        assert.equal((await ipfs.pin.add(fixture.one)).toString(), fixture.one.toString())
        assert.equal((await ipfs.pin.add(fixture.two, { recursive: false })).toString(), fixture.two.toString())
        assert.equal(await pinType(fixture.two), 'direct')
      })

      it('add: should recursively pin parent of direct pin', async () => {
        await ipfs.pin.add(fixture.files[0], { recursive: false })
        await ipfs.pin.add(fixture.directory)
        assert.equal(await pinType(fixture.files[0], 'direct'), 'direct')
        assert.match(await pinType(fixture.files[0], 'indirect'), /^indirect/)
      })

      it('add: should fail to directly pin a recursive pin', async () => {
        await ipfs.pin.add(fixture.directory)
        await assert.rejects(ipfs.pin.add(fixture.directory, { recursive: false }), /already pinned recursively/)
      })

      it('add: should fail to pin what is not there, or not whole', async () => {
        await assert.rejects(ipfs.pin.add(CID.parse(MISSING)), /could not find/)
        const root = await putNode({ child: CID.parse(MISSING) })
        await assert.rejects(ipfs.pin.add(root), new RegExp(`could not find ${MISSING}`))
        await assert.rejects(pins({ paths: root }), /is not pinned/)
      })

      it('add: dag-cbor with dag-pb child', async () => {
        const child = await putNode(dagPB.prepare({ Data: unique() }), dagPB)
        const parent = await putNode({ child })
        await ipfs.pin.add(parent)
        assert.match(await pinType(child), /^indirect/)
      })

      it('add: should update pin name when pinning again with different name', async () => {
        await ipfs.pin.add(fixture.one, { name: 'first' })
        await ipfs.pin.add(fixture.one, { name: 'second' })
        assert.deepEqual(await pins({ name: 'first' }), [])
        assert.deepEqual(await pins({ name: 'second' }), [[fixture.one.toString(), 'recursive', 'second']])
      })

      it('addAll and rmAll', async () => {
        const added = await all(ipfs.pin.addAll([{ cid: fixture.one, name: 'pin-1' }, { cid: fixture.two, recursive: false }]))
        assert.deepEqual(added.map(String), [fixture.one, fixture.two].map(String))
        const removed = await all(ipfs.pin.rmAll([fixture.one, fixture.two]))
        assert.deepEqual(removed.map(String), [fixture.one, fixture.two].map(String))
        assert.deepEqual(await pins({ type: 'recursive' }), [])
      })

      it('rm: what is not pinned, or not so', async () => {
        await assert.rejects(ipfs.pin.rm(fixture.one), /not pinned or pinned indirectly/)
        await ipfs.pin.add(fixture.directory)
        await assert.rejects(ipfs.pin.rm(fixture.directory, { recursive: false }), /is pinned recursively/)
        await assert.rejects(ipfs.pin.rm(fixture.files[0]), /not pinned or pinned indirectly/)
        assert.equal((await ipfs.pin.rm(fixture.directory)).toString(), fixture.directory.toString())
      })

      it('update: moves a pin with its name', async () => {
        await ipfs.pin.add(fixture.one, { name: 'moved' })
        const [from, to] = await ipfs.pin.update(fixture.one, fixture.two)
        assert.deepEqual([from, to].map(String), [fixture.one, fixture.two].map(String))
        assert.deepEqual(await pins({ names: true, type: 'recursive' }), [[fixture.two.toString(), 'recursive', 'moved']])
        await assert.rejects(ipfs.pin.update(fixture.one, fixture.two), /not recursively pinned/)
      })
    })

    describe('.refs', () => {
      let root
      before(async () => {
        const leaf = async (name) => {
          const file = new UnixFS({ type: 'file', data: utf8(name) })
          return putNode(dagPB.prepare({ Data: file.marshal() }), dagPB)
        }
        const tree = async (value) => {
          if (typeof value === 'string') return leaf(value)
          const links = {}
          for (const [name, child] of Object.entries(value)) links[name] = await tree(child)
          return putNode(links)
        }
        root = await tree({
          animals: { land: { 'african.txt': 'elephants', 'americas.txt': 'ñandu' }, sea: { 'atlantic.txt': 'dolphins' } },
          fruits: { 'tropical.txt': 'bananas' },
          'mushroom.txt': 'mushroom'
        })
      })
      const names = async (paths, options) => {
        return (await all(ipfs.refs(paths, { format: '<linkname>', ...options }))).map(({ ref }) => ref)
      }

      it('should print direct and recursive refs, to a depth', async () => {
        assert.deepEqual(await names(root), ['fruits', 'animals', 'mushroom.txt'])
        assert.deepEqual(await names(root, { recursive: true, maxDepth: 1 }), ['fruits', 'animals', 'mushroom.txt'])
        assert.deepEqual(await names(root, { recursive: true, maxDepth: 2 }),
          ['fruits', 'tropical.txt', 'animals', 'sea', 'land', 'mushroom.txt'])
        assert.equal((await names(root, { recursive: true })).length, 9)
        assert.deepEqual(await names(root, { recursive: true, maxDepth: 0 }), [])
        assert.deepEqual(await names(`/ipfs/${root}/animals`, { recursive: true, maxDepth: 1 }), ['sea', 'land'])
        assert.equal((await names([`/ipfs/${root}/animals`, `/ipfs/${root}/fruits`], { recursive: true })).length, 6)
      })

      it('should print edges, and each ref once', async () => {
        const child = await putNode(dagPB.prepare({ Data: unique() }), dagPB)
        const twice = await putNode({ a: child, b: child })
        const refs = async (options) => (await all(ipfs.refs(twice, options))).map(({ ref }) => ref)
        assert.deepEqual(await refs(), [child, child].map(String))
        assert.deepEqual(await refs({ unique: true }), [child.toString()])
        assert.deepEqual(await refs({ unique: true, edges: true }), [`${twice} -> ${child}`])
        await assert.rejects(all(ipfs.refs(twice, { format: '<linkname>', edges: true })), /not allowed/)
      })

      it('should say what does not exist', async () => {
        const [{ ref, err }] = await all(ipfs.refs(CID.parse(MISSING)))
        assert.equal(ref, '')
        assert.match(err, /could not find/)
      })
    })

    describe('.repo', () => {
      it('stat: should get repo stats', async () => {
        const stat = await ipfs.repo.stat()
        assert.ok(stat.numObjects > 0n && stat.repoSize > 0n)
        assert.match(stat.version, /^fs-repo@/)
      })

      it('version: should get the repo version', async () => {
        assert.ok(await ipfs.repo.version())
      })

      it('gc: says that nothing was removed', async () => {
        await assert.rejects(all(ipfs.repo.gc()), /nothing was removed/)
      })
    })

    describe('.add, .cat, .ls, .get', () => {
      const content = Buffer.from(Array.from({ length: 700_000 }, (_, i) => (i * 7919 + (i >> 8)) & 0xff))

      it('add: has the CIDs of Kubo', async () => {
        for (const [options, cid] of [
          [{}, 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o'],
          [{ cidVersion: 1 }, 'bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4'],
          [{ rawLeaves: true }, 'bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4']
        ]) {
          const added = await ipfs.add(utf8('hello world\n'), options)
          assert.equal(added.cid.toString(), cid)
          assert.equal(added.path, cid)
          assert.equal(await pinType(added.cid), 'recursive')
        }
      })

      it('add: an empty directory, and one wrapped', async () => {
        const [empty] = await all(ipfs.addAll([{ path: 'empty' }]))
        assert.equal(empty.cid.toString(), 'QmUNLLsPACCz1vLxQVkXqqLX5R1X345qqfHbsf67hvA3Nn')
        const wrapped = await all(ipfs.addAll([{ path: 'a', content: utf8('x') }], { wrapWithDirectory: true }))
        assert.deepEqual(wrapped.map(({ path }) => path), ['a', ''])
      })

      it('add: progress, only-hash and what is not done', async () => {
        const told = []
        const { cid } = await ipfs.add({ path: 'big', content }, { progress: (bytes, path) => told.push([bytes, path]), onlyHash: true })
        assert.deepEqual(told.at(-1), [content.length, 'big'])
        await assert.rejects(ipfs.block.get(cid), /could not find/)
        await assert.rejects(ipfs.add(utf8('x'), { trickle: true }), /does not do/)
      })

      it('cat: whole files and ranges of them, by path too', async () => {
        const added = await all(ipfs.addAll([{ path: 'dir/big', content }, { path: 'dir/small', content: utf8('small') }]))
        const dir = added.find(({ path }) => path === 'dir').cid
        assert.deepEqual(await bytes(ipfs.cat(`${dir}/big`)), content)
        const part = await bytes(ipfs.cat(`/ipfs/${dir}/big`, { offset: 262_100, length: 100_000 }))
        assert.deepEqual(part, content.subarray(262_100, 362_100))
        assert.equal(text(await bytes(ipfs.cat(`${dir}/small`, { offset: 2 }))), 'all')
        await assert.rejects(bytes(ipfs.cat(dir)), /is a directory/)
        await assert.rejects(bytes(ipfs.cat(CID.parse(MISSING))), /could not find/)
        await assert.rejects(bytes(ipfs.cat(`${dir}/big`, { offset: -1 })), /negative offset/)
      })

      it('ls: entries with type and size', async () => {
        const added = await all(ipfs.addAll([
          { path: 'top/b/c', content: utf8('c') }, { path: 'top/a', content }, { path: 'top/raw', content: utf8('raw') }
        ]))
        const top = added.find(({ path }) => path === 'top').cid
        const listed = await all(ipfs.ls(top))
        assert.deepEqual(listed.map(({ name, type, size }) => [name, type, size]),
          [['a', 'file', content.length], ['b', 'dir', 0], ['raw', 'file', 3]])
        const [file] = await all(ipfs.ls(`${top}/raw`))
        assert.equal(file.type, 'file')
      })

      it('get: an archive of files and directories', async () => {
        const added = await all(ipfs.addAll([
          { path: 'top/b/c', content: utf8('c') }, { path: 'top/a', content }, { path: 'top/empty', content: utf8('') }
        ]))
        const top = added.find(({ path }) => path === 'top').cid
        const files = readTar(await bytes(ipfs.get(top)))
        assert.deepEqual(files.map(({ path }) => path), ['', '/a', '/b', '/b/c', '/empty'].map((path) => `${top}${path}`))
        assert.deepEqual(files[1].data, content)
        const [one] = readTar(await bytes(ipfs.get(`${top}/b/c`)))
        assert.equal(one.path, 'c')
        assert.equal(text(one.data), 'c')
      })

      it('get: compressed', async () => {
        const { gunzipSync } = await import('node:zlib')
        const { cid } = await ipfs.add(content)
        assert.deepEqual(gunzipSync(await bytes(ipfs.get(cid, { compress: true }))), content)
        const [file] = readTar(gunzipSync(await bytes(ipfs.get(cid, { compress: true, archive: true, compressionLevel: 9 }))))
        assert.deepEqual(file.data, content)
      })
    })

    describe('.id, .version, .isOnline, .swarm', () => {
      it('says who it is', async () => {
        const id = await ipfs.id()
        assert.match(id.id.toString(), /^12D3KooW/)
        assert.ok(id.addresses.length >= 1)
        assert.ok(await ipfs.isOnline())
        assert.match((await ipfs.version()).version, /^\d+\.\d+\.\d+/)
        assert.deepEqual(await ipfs.swarm.peers(), [])
      })
    })
  })
}
