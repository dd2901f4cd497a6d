// Runs the tests: node test/run.js unit|service|chromium
//
// `unit` needs nothing. The others start the service of CIDBUCKET_BIN on free ports with a data
// directory of its own, run the same tests as well as those against it, in Node or in Chromium, and
// stop it again.
import { once } from 'node:events'
import { build } from 'esbuild'
import Mocha from 'mocha'
import { inChromium } from './chromium.js'
import { startPeer } from './peer.js'
import { startService } from './start-service.js'

const NAMES = { unit: ['unit'], service: ['unit', 'service'], chromium: ['unit', 'service'], 'unit-chromium': ['unit'] }

const [what = 'unit'] = process.argv.slice(2)
const names = NAMES[what]
if (names === undefined) {
  throw new Error(`no tests of the name ${what}`)
}
const started = []
try {
  const peer = await startPeer()
  started.push(peer)
  const access = { peer: peer.access }
  if (names.includes('service')) {
    const service = await startService()
    started.push(service)
    access.service = service.access
  }
  const browser = what.endsWith('chromium')
  const bundle = await bundled(names, browser)
  const failures = await (browser ? inChromium : inNode)(bundle, access)
  process.exitCode = failures === 0 ? 0 : 1
} finally {
  await Promise.all(started.map(async it => it.stop()))
}

/** The tests of these names as one file. */
async function bundled (names, browser) {
  const root = new URL('..', import.meta.url).pathname
  const outfile = `${root}build/tests.${browser ? 'browser' : 'node'}.js`
  await build({
    stdin: {
      contents: names.map(name => `import './${name}.ts'\n`).join(''),
      resolveDir: `${root}test`
    },
    outfile,
    bundle: true,
    format: browser ? 'iife' : 'esm',
    platform: browser ? 'browser' : 'node',
    packages: browser ? 'bundle' : undefined,
    // The published suite asks for the whole of aegir to have its assertions.
    alias: { 'aegir/chai': `${root}test/chai.ts` },
    sourcemap: 'inline',
    logLevel: 'warning',
    // Some dependencies are CommonJS and call `require`.
    banner: browser ? {} : { js: "import { createRequire } from 'node:module'; const require = createRequire(import.meta.url);" }
  })
  return outfile
}

async function inNode (bundle, access) {
  globalThis.cidbucket = access
  const mocha = new Mocha({ timeout: 20_000 })
  mocha.addFile(bundle)
  await mocha.loadFilesAsync()
  const runner = mocha.run()
  await once(runner, 'end')
  return runner.total === 0 ? 1 : runner.failures
}
