// Builds the page into dist/, whose files are committed: a Rust toolchain alone builds the binary.
//
//   node build.mjs           writes dist/
//   node build.mjs --check   fails where dist/ is not what would be written
//
// The same sources and package-lock.json give the same bytes on every machine: esbuild is pinned, and
// gzip is done in JavaScript, since zlib differs from one Node to the next.

import { mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { build } from 'esbuild'
import { gzipSync } from 'fflate'
import { bundling } from './bundling.mjs'

const here = dirname(fileURLToPath(import.meta.url))
const dist = join(here, 'dist')
const web = join(here, 'web')

const bundles = await build({
    ...bundling,
    absWorkingDir: here,
    entryPoints: { page: 'web/main.ts', worker: 'web/dag/worker.ts', style: 'web/style.css' },
    outdir: 'dist',
    minify: true,
    write: false,
    legalComments: 'none'
})
const files = new Map(bundles.outputFiles.map(({ path, contents }) => [path.slice(dist.length + 1), contents]))
for (const name of ['index.html', 'icon.svg']) files.set(name, await readFile(join(web, name)))
for (const [name, contents] of [...files]) files.set(`${name}.gz`, gzipSync(contents, { level: 9, mtime: 0 }))

if (process.argv.includes('--check')) {
    const there = new Set(await readdir(dist))
    const stale = []
    for (const [name, contents] of files) {
        const same = there.delete(name) && Buffer.compare(await readFile(join(dist, name)), contents) === 0
        if (!same) stale.push(name)
    }
    stale.push(...there)
    if (stale.length > 0) {
        console.error(`dist/ is not built from these sources: ${stale.join(', ')}. Run: npm ci && npm run build`)
        process.exit(1)
    }
} else {
    await rm(dist, { recursive: true, force: true })
    await mkdir(dist, { recursive: true })
    for (const [name, contents] of files) await writeFile(join(dist, name), contents)
}
const size = filter => [...files].filter(([name]) => filter(name)).reduce((sum, [, { length }]) => sum + length, 0)
console.log(`${size(name => !name.endsWith('.gz'))} bytes, ${size(name => name.endsWith('.gz'))} in gzip`)
