// The worker: reads, cuts and hashes files, and hands out their blocks. It talks to nobody but the page.

import { importDag, type Source } from './importing.ts'
import type { Profile } from './profile.ts'
import type { FromWorker, Picked, ToWorker } from './messages.ts'

/** Bytes of blocks that may wait to be stored. Above, reading waits. */
const AHEAD = 48 << 20

const tell = (message: FromWorker, transfer: Transferable[] = []) => postMessage(message, { transfer })

let waiting = 0
let room: (() => void)[] = []

addEventListener('message', ({ data }: MessageEvent<ToWorker>) => {
    if (data.is === 'room') {
        waiting -= data.bytes
        if (waiting < AHEAD) {
            for (const go of room) go()
            room = []
        }
    } else void run(data.files, data.profile, data.wrap)
})

async function run(files: Picked[], profile: Profile, wrap: boolean) {
    let reading: string | undefined
    function* sources(): Generator<Source> {
        for (const { path, file } of files) {
            if (file === undefined) yield { path }
            else yield { path, content: read(file, () => (reading = path)) }
        }
    }
    try {
        const root = await importDag(
            sources(),
            profile,
            wrap,
            async ({ cid, bytes, kind }) => {
                while (waiting >= AHEAD) await new Promise<void>(go => room.push(go))
                waiting += bytes.length
                // A copy: leaves may be windows into a larger buffer, and the importer still looks at them.
                const own = bytes.slice()
                tell({ is: 'block', cid: cid.bytes, bytes: own, kind }, [own.buffer])
            },
            bytes => tell({ is: 'again', bytes })
        )
        tell({ is: 'root', cid: root.bytes })
    } catch (error) {
        const message = error instanceof Error ? error.message : String(error)
        const unreadable = error instanceof DOMException
        tell({ is: 'failed', message, ...(unreadable && reading !== undefined ? { path: reading } : {}) })
    }
}

async function* read(file: File, begins: () => void): AsyncGenerator<Uint8Array> {
    const reader = file.stream().getReader()
    try {
        for (;;) {
            begins()
            const { done, value } = await reader.read()
            if (done) return
            tell({ is: 'read', bytes: value.length })
            yield value
        }
    } finally {
        reader.releaseLock()
    }
}
