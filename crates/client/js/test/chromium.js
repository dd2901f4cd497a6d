// Runs a bundle of tests in Chromium, and prints how they end.
import { once } from 'node:events'
import { createServer } from 'node:http'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const MOCHA = new URL('../node_modules/mocha/mocha.js', import.meta.url)

/** How many tests failed. */
export async function inChromium (bundle, access) {
  const pages = await servePages({ '/mocha.js': await readFile(MOCHA), '/tests.js': await readFile(bundle) })
  const profile = await mkdtemp(join(tmpdir(), 'cidbucket-chromium-'))
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    headless: true,
    args: [
      '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run',
      '--disable-background-networking', '--disable-component-update', '--disable-sync'
    ]
  })
  try {
    const page = await context.newPage()
    page.on('pageerror', error => { console.error(error) })
    await page.exposeFunction('tell', line => { console.log(line) })
    await page.goto(pages.url)
    return await page.evaluate(runTests, access)
  } finally {
    await context.close()
    await rm(profile, { recursive: true, force: true })
    pages.close()
  }
}

/** In the page. */
async function runTests (access) {
  globalThis.cidbucket = access
  const load = async path => new Promise((resolve, reject) => {
    const script = document.createElement('script')
    script.src = path
    script.onload = resolve
    script.onerror = reject
    document.head.append(script)
  })
  await load('/mocha.js')
  mocha.setup({ ui: 'bdd', reporter: class {}, timeout: 20_000 })
  await load('/tests.js')
  return new Promise(resolve => {
    const runner = mocha.run(failures => {
      const { total, stats } = runner
      tell(`\n  ${stats.passes} passing in Chromium (${stats.duration} ms), ${failures} failing`)
      resolve(total === 0 ? 1 : failures)
    })
    runner.on('pass', test => tell(`  ✔ ${test.fullTitle()}`))
    runner.on('fail', (test, error) => tell(`  ✘ ${test.fullTitle()}\n${error.stack ?? error}`))
  })
}

async function servePages (files) {
  const server = createServer((request, response) => {
    const file = request.url === '/' ? '<!doctype html><title>tests</title>' : files[request.url]
    response.writeHead(file === undefined ? 404 : 200, {
      'content-type': request.url === '/' ? 'text/html; charset=utf-8' : 'text/javascript; charset=utf-8'
    })
    response.end(file)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return { url: `http://127.0.0.1:${server.address().port}/`, close: () => server.close() }
}
