// A node for each test: `cidbucket serve --rpc` over a folder of its own, or over the S3 server of --dev.

import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { create } from 'kubo-rpc-client'

const BINARY = process.env.CIDBUCKET_BIN
if (!BINARY) throw new Error('CIDBUCKET_BIN names the cidbucket to test')

// Starts a node and waits until it is ready. `over` is 'folder' or 'dev'.
export async function startNode (over = 'folder') {
  const folder = await mkdtemp(join(tmpdir(), 'cidbucket-rpc-'))
  const store = over === 'dev' ? ['--dev', '--data-dir', folder] : ['--store', `dir:${folder}`]
  const args = ['serve', '--json', '--listen', '127.0.0.1:0', '--rpc', '127.0.0.1:0', ...store]
  const child = spawn(BINARY, args, {
    env: { PATH: process.env.PATH, HOME: folder },
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const lines = createInterface({ input: child.stdout })
  const [line] = await Promise.race([
    once(lines, 'line'),
    once(child, 'exit').then(() => { throw new Error('the node ended before it was ready') })
  ])
  const url = JSON.parse(line).rpc
  return {
    url,
    api: create({ url }),
    async stop () {
      child.kill('SIGTERM')
      if (child.exitCode === null) await once(child, 'exit')
      await rm(folder, { recursive: true, force: true })
    }
  }
}

// All that a stream gives.
export async function all (stream) {
  const items = []
  for await (const item of stream) items.push(item)
  return items
}

// All bytes that a stream gives.
export async function bytes (stream) {
  return Buffer.concat(await all(stream))
}
