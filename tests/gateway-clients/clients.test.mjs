// Real clients of IPFS gateways against `cidbucket serve`, each reading what another program has written.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { after, before, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'

import { withHTTP } from '@helia/http'
import { trustlessGatewayBlockBroker } from '@helia/trustless-gateway-client'
import { unixfs } from '@helia/unixfs'
import { createVerifiedFetchWithHelia } from '@helia/verified-fetch'
import { CarReader } from '@ipld/car'
import { createHeliaLight } from 'helia'
import { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'

const folder = mkdtempSync(join(tmpdir(), 'cidbucket-gateway-'))
const text = new TextEncoder().encode('a file of some text\n')
// Several blocks, so that there is a DAG to walk.
const large = new Uint8Array(3_000_000).map((_, at) => (at * 2654435761) >>> 24)
let open, closed, site

/** Starts `serve --dev` on free ports. */
async function start(name, ...args) {
    const child = spawn(
        process.env.CIDBUCKET_BIN,
        ['serve', '--dev', '--json', '--listen', '127.0.0.1:0', '--data-dir', join(folder, name), ...args],
        { stdio: ['ignore', 'pipe', 'inherit'] }
    )
    const lines = createInterface({ input: child.stdout })
    const [line] = await Promise.race([
        once(lines, 'line'),
        once(child, 'exit').then(([code]) => {
            throw new Error(`the service ended with ${code}`)
        })
    ])
    const { service, token } = JSON.parse(line)
    return {
        url: service.replace(/\/*$/, ''),
        token,
        async stop() {
            child.kill('SIGTERM')
            await once(child, 'exit')
        }
    }
}

/** A directory with two files, as Helia makes it, in all services. */
async function write(...services) {
    const helia = await createHeliaLight().start()
    const fs = unixfs(helia)
    let root
    for await (const entry of fs.addAll([
        { path: 'text.txt', content: [text] },
        { path: 'sub/large.bin', content: [large] }
    ], { wrapWithDirectory: true })) {
        root = entry.cid
    }
    for await (const { cid, bytes } of helia.blockstore.getAll()) {
        // The store hands out bytes or pieces of them, depending on its version.
        const pieces = []
        if (bytes instanceof Uint8Array) pieces.push(bytes)
        else for await (const piece of bytes) pieces.push(piece)
        const body = Buffer.concat(pieces)
        for (const { url, token } of services) {
            const answer = await fetch(`${url}/v1/blocks/${cid}`, {
                method: 'PUT',
                headers: { authorization: `Bearer ${token}` },
                body
            })
            assert.equal(answer.status, 204, await answer.text())
        }
    }
    await helia.stop()
    return root
}

/** A Helia that has nothing, and reads from one gateway. */
function reader(url, helia = createHeliaLight()) {
    // Without a router that answers first, Helia 7 waits for one for ever.
    helia.addRouter({
        name: 'nobody',
        async *findProviders() {
            await setTimeout(10)
        }
    })
    return withHTTP(helia, {
        delegatedRouters: [],
        recursiveGateways: [url],
        allowInsecure: true,
        allowLocal: true
    }).start()
}

async function all(source) {
    const pieces = []
    for await (const piece of source) pieces.push(piece)
    return Buffer.concat(pieces)
}

before(async () => {
    open = await start('open', '--public-reads', '--gateway-files')
    closed = await start('closed')
    site = await write(open, closed)
})

after(async () => {
    await open?.stop()
    await closed?.stop()
    rmSync(folder, { recursive: true, force: true })
})

test('Helia reads files and directories through the gateway', async () => {
    const helia = await reader(open.url)
    try {
        const fs = unixfs(helia)
        const names = []
        for await (const { name } of fs.ls(site)) names.push(name)
        assert.deepEqual(names.sort(), ['sub', 'text.txt'])
        assert.deepEqual(await all(fs.cat(site, { path: 'text.txt' })), Buffer.from(text))
        assert.deepEqual(await all(fs.cat(site, { path: 'sub/large.bin' })), Buffer.from(large))
    } finally {
        await helia.stop()
    }
})

test('Helia gives up on a block that the gateway does not have', async () => {
    const helia = await reader(open.url)
    try {
        const absent = CID.createV1(0x55, await sha256.digest(new TextEncoder().encode('nobody has stored this')))
        await assert.rejects(all(unixfs(helia).cat(absent, { signal: AbortSignal.timeout(20_000) })))
    } finally {
        await helia.stop()
    }
})

test('a gateway for those with a token', async () => {
    const answer = await fetch(`${closed.url}/ipfs/${site}?format=raw`)
    assert.equal(answer.status, 403)
    const helia = createHeliaLight()
    helia.addBlockBroker(trustlessGatewayBlockBroker({
        allowInsecure: true,
        allowLocal: true,
        transformRequestInit: init => ({
            ...init,
            headers: { ...init.headers, authorization: `Bearer ${closed.token}` }
        })
    }))
    await reader(closed.url, helia)
    try {
        assert.deepEqual(await all(unixfs(helia).cat(site, { path: 'text.txt' })), Buffer.from(text))
    } finally {
        await helia.stop()
    }
})

test('verified-fetch: whole files, paths and ranges', async () => {
    const helia = await reader(open.url)
    const verifiedFetch = await createVerifiedFetchWithHelia(helia)
    try {
        const whole = await verifiedFetch(`ipfs://${site}/text.txt`)
        assert.equal(whole.status, 200)
        assert.deepEqual(Buffer.from(await whole.arrayBuffer()), Buffer.from(text))
        const part = await verifiedFetch(`ipfs://${site}/sub/large.bin`, {
            headers: { range: 'bytes=1500000-1500099' }
        })
        assert.equal(part.status, 206)
        assert.deepEqual(Buffer.from(await part.arrayBuffer()), Buffer.from(large.subarray(1_500_000, 1_500_100)))
        const nothing = await verifiedFetch(`ipfs://${site}/nothing`)
        assert.equal(nothing.status, 404)
    } finally {
        await verifiedFetch.stop()
        await helia.stop()
    }
})

test('@ipld/car reads a CAR with all blocks of a path', async () => {
    const answer = await fetch(`${open.url}/ipfs/${site}/sub/large.bin?format=car`)
    assert.equal(answer.status, 200)
    const car = await CarReader.fromIterable(answer.body)
    let bytes = 0
    for await (const { cid, bytes: block } of car.blocks()) {
        const digest = await sha256.digest(block)
        assert.deepEqual(digest.bytes, cid.multihash.bytes)
        bytes += block.length
    }
    assert.ok(bytes > large.length)
})
