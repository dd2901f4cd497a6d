import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Zip } from '../web/files/zip.ts'

async function* content(...parts: string[]) {
    for (const part of parts) yield new TextEncoder().encode(part)
}

// Python's zipfile checks every CRC and every header against the directory.
const READ = `
import json, sys, zipfile
z = zipfile.ZipFile(sys.argv[1])
assert z.testzip() is None
print(json.dumps([[i.filename, z.read(i).decode(), i.is_dir(), i.date_time[0]] for i in z.infolist()]))
`

test('an archive that others read', async () => {
    const zip = new Zip()
    const date = new Date(2026, 5, 4, 12, 30, 8)
    await zip.add('top/a.txt', content('hello ', 'world'), date)
    await zip.add('top/grüße 文件.txt', content('x'.repeat(100_000)), date)
    await zip.add('top/empty', content(), date)
    await zip.add('top/void/', content(), date)
    const dir = await mkdtemp(join(tmpdir(), 'zip-'))
    try {
        const path = join(dir, 'x.zip')
        await writeFile(path, new Uint8Array(await zip.end().arrayBuffer()))
        const { stdout, stderr } = spawnSync('python3', ['-c', READ, path], { encoding: 'utf8' })
        assert.deepEqual(
            JSON.parse(stdout || stderr),
            [
                ['top/a.txt', 'hello world', false, 2026],
                ['top/grüße 文件.txt', 'x'.repeat(100_000), false, 2026],
                ['top/empty', '', false, 2026],
                ['top/void/', '', true, 2026]
            ]
        )
    } finally {
        await rm(dir, { recursive: true })
    }
})
