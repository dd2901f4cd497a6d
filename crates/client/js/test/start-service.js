// Starts `cidbucket serve --dev` on free ports with a data directory of its own.
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export async function startService () {
  const binary = process.env.CIDBUCKET_BIN
  if (binary === undefined) {
    throw new Error('CIDBUCKET_BIN names the cidbucket to test against')
  }
  const folder = await mkdtemp(join(tmpdir(), 'cidbucket-js-'))
  const child = spawn(binary, ['serve', '--dev', '--json', '--listen', '127.0.0.1:0', '--data-dir', folder], {
    stdio: ['ignore', 'pipe', 'inherit']
  })
  const ended = once(child, 'exit')
  const stop = async () => {
    child.kill()
    await ended
    await rm(folder, { recursive: true, force: true })
  }
  try {
    const lines = createInterface({ input: child.stdout })
    const [line] = await Promise.race([
      once(lines, 'line'),
      ended.then(([code]) => { throw new Error(`cidbucket ended with ${code} before it listened`) })
    ])
    const { service, token } = JSON.parse(line)
    return { access: { url: service, token }, stop }
  } catch (error) {
    await stop()
    throw error
  }
}
