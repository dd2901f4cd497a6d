// The service under test: `cidbucket serve`, its tokens, its bucket and its counters.

import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

const { CIDBUCKET_BIN: BIN, CIDBUCKET_TEST_ENDPOINT: ENDPOINT, CIDBUCKET_TEST_BUCKET: BUCKET, CIDBUCKET_TEST_REGION: REGION } = process.env
const folder = mkdtempSync(join(tmpdir(), 'cidbucket-browser-'))
const key = join(folder, 'token-key.json')
const env = {
    ...process.env,
    HOME: folder,
    XDG_CACHE_HOME: join(folder, 'cache'),
    XDG_DATA_HOME: join(folder, 'data'),
    AWS_ACCESS_KEY_ID: process.env.CIDBUCKET_TEST_ACCESS_KEY,
    AWS_SECRET_ACCESS_KEY: process.env.CIDBUCKET_TEST_SECRET_KEY,
    CIDBUCKET_STORE: `s3://${BUCKET}/page?endpoint=${ENDPOINT}&region=${REGION}&style=path`
}

/** The origin of the bucket, as the page sees it. */
export const S3 = new URL(ENDPOINT).origin

/** Runs the binary to its end, and gives what it prints. */
export const cidbucket = (...args) => execFileSync(BIN, args, { env, encoding: 'utf8' }).trim()

/** A token, with what `token issue` is told about it. */
export function issue(...options) {
    return cidbucket('token', 'issue', '--key', key, ...options)
}

/** Starts a service on a free port. */
export async function startService(...args) {
    const child = spawn(BIN, ['serve', '--json', '--listen', '127.0.0.1:0', '--token-key', key, ...args], { env, stdio: ['ignore', 'pipe', 'inherit'] })
    const lines = createInterface({ input: child.stdout })
    const [line] = await Promise.race([
        once(lines, 'line'),
        once(child, 'exit').then(([code]) => {
            throw new Error(`the service ended with ${code}`)
        })
    ])
    const url = JSON.parse(line).service.replace(/\/*$/, '/')
    return {
        url,
        /** The sum of the counters whose name and labels match. */
        async count(pattern) {
            const text = await (await fetch(`${url}metrics`)).text()
            return text
                .split('\n')
                .filter(line => !line.startsWith('#') && pattern.test(line))
                .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0)
        },
        async stop() {
            if (child.exitCode !== null) return
            child.kill('SIGTERM')
            await once(child, 'exit')
        }
    }
}

/** Makes the key that signs tokens. */
export function makeKey() {
    cidbucket('token', 'key', '-o', key)
}

/** Takes away what was made. */
export function clean() {
    rmSync(folder, { recursive: true, force: true })
}

/** Lets the pages of these origins in, and no others that were not let in before. */
export function allow(...origins) {
    cidbucket('doctor', '--fix-cors', '--yes', ...origins.flatMap(origin => ['--origin', origin]))
}
