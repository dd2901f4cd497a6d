// Bundles every test as the page is bundled, and runs them in Node.

import { spawnSync } from 'node:child_process'
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { bundling } from '../bundling.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const tests = (await readdir(here)).filter(name => name.endsWith('.test.ts'))
const out = await mkdtemp(join(tmpdir(), 'page-tests-'))
try {
    await build({
        ...bundling,
        absWorkingDir: dirname(here),
        entryPoints: tests.map(name => join('tests', name)),
        outdir: out,
        outExtension: { '.js': '.mjs' },
        platform: 'node',
        target: 'node20',
        sourcemap: 'inline'
    })
    const files = tests.map(name => join(out, name.replace(/\.ts$/, '.mjs')))
    const { status } = spawnSync(process.execPath, ['--enable-source-maps', '--test', ...files], { stdio: 'inherit' })
    process.exitCode = status ?? 1
} finally {
    await rm(out, { recursive: true, force: true })
}
