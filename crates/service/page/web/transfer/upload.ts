// One upload: the worker cuts and hashes, the service's client stores.

import { CID } from 'multiformats/cid'
import { LEAF, type Profile } from '../dag/profile.ts'
import type { FromWorker, ToWorker } from '../dag/messages.ts'
import type { Picking } from '../files/dropped.ts'
import type { Block, Service, Way } from '../service.ts'
import { Unreadable } from '../trouble.ts'
import { Rows, Speed, type Row } from './rows.ts'

export type UploadState = 'running' | 'done' | 'failed' | 'cancelled'

export class Upload {
    readonly rows = new Rows()
    state: UploadState = 'running'
    root: CID | undefined
    failure: unknown
    /** Bytes of files that were read and hashed. */
    read = 0
    /** Bytes of blocks that are at S3, or were there. */
    moved = 0
    /** Bytes of blocks that came twice. */
    repeated = 0
    began = performance.now()
    ended: number | undefined
    /** Hears of every change. */
    changed: () => void = () => {}

    private readonly speedometer = new Speed()
    /** What is stored for good: not sent again by a retry. */
    private readonly kept = new Map<string, Way>()
    private stop = new AbortController()

    constructor(
        readonly picking: Picking,
        readonly profile: Profile,
        private readonly service: Service
    ) {}

    /** About how many blocks it will be. */
    get expected(): number {
        if (this.root !== undefined) return this.rows.list.length
        const leaves = this.picking.files.reduce(
            (sum, { file }) => sum + Math.max(1, Math.ceil((file?.size ?? 0) / LEAF[this.profile])),
            0
        )
        return Math.max(leaves, this.rows.list.length)
    }

    /** From 0 to 1. */
    get hashed(): number {
        return this.root !== undefined ? 1 : ratio(this.read, this.picking.size)
    }

    /** From 0 to 1. */
    get progress(): number {
        if (this.state === 'done') return 1
        const made = this.rows.list.reduce((sum, { size }) => sum + size, this.repeated)
        return Math.min(0.999, ratio(this.moved + this.repeated, Math.max(this.picking.size, this.root === undefined ? 0 : made)))
    }

    get perSecond(): number {
        return this.speedometer.perSecond(performance.now())
    }

    cancel(): void {
        this.stop.abort(new DOMException('cancelled', 'AbortError'))
    }

    /** Runs until it is done, failed or cancelled; may be called again after a failure. */
    async run(): Promise<void> {
        this.rows.clear()
        this.read = this.moved = this.repeated = 0
        this.root = this.failure = this.ended = undefined
        this.state = 'running'
        this.began = performance.now()
        this.stop = new AbortController()
        const { signal } = this.stop
        const worker = takeWorker()
        const stream = new BlockStream(worker, this)
        try {
            await this.service.put(stream.blocks(signal), this.events(worker), signal)
            signal.throwIfAborted()
            this.root = stream.root
            this.state = 'done'
        } catch (error) {
            this.failure = error
            this.state = signal.aborted ? 'cancelled' : 'failed'
        } finally {
            worker.terminate()
            this.ended = performance.now()
            this.changed()
        }
    }

    /** A block of the worker; `false` where it is stored already and need not be sent. */
    take(name: string, size: number, kind: 'data' | 'parts' | 'folder'): boolean {
        const way = this.kept.get(name)
        this.rows.add({ cid: name, size, kind, stage: way === undefined ? 'made' : 'done', ...(way === undefined ? {} : { way }) })
        if (way !== undefined) this.moved += size
        return way === undefined
    }

    /** A block needs no more memory. */
    private left(row: Row, way: Way, worker: Worker) {
        if (row.stage === 'moved' || row.stage === 'done') return
        row.stage = 'moved'
        row.way = way
        this.moved += row.size
        this.speedometer.note(this.moved, performance.now())
        worker.postMessage({ is: 'room', bytes: row.size } satisfies ToWorker)
    }

    private events(worker: Worker) {
        return {
            sending: (cid: CID) => {
                const row = this.rows.find(cid.toString())
                if (row?.stage === 'made') row.stage = 'moving'
                this.changed()
            },
            sent: (cid: CID, way: Way) => {
                const row = this.rows.find(cid.toString())
                if (row !== undefined) this.left(row, way, worker)
                this.changed()
            },
            stored: (cid: CID, way: Way) => {
                const row = this.rows.find(cid.toString())
                if (row === undefined) return
                this.left(row, way, worker)
                row.stage = 'done'
                row.way = way
                this.kept.set(row.cid, way)
                this.changed()
            }
        }
    }
}

let spare: Worker | undefined

/** Loads the worker before it is needed, so that an upload can begin while the network is away. */
export function readyWorker(): void {
    if (spare !== undefined) return
    const worker = new Worker(new URL('worker.js', document.baseURI), { type: 'module', name: 'hashing' })
    spare = worker
    // One that could not be loaded is of no use later.
    worker.addEventListener('error', () => {
        if (spare === worker) spare = undefined
    })
}

/** A worker for one upload, and another made ready. */
function takeWorker(): Worker {
    readyWorker()
    const worker = spare as Worker
    spare = undefined
    readyWorker()
    return worker
}

/** The worker's messages as a stream of blocks. */
class BlockStream {
    root: CID | undefined
    private readonly queue: Block[] = []
    private ended = false
    private failure: Error | undefined
    private wake: () => void = () => {}

    constructor(
        private readonly worker: Worker,
        private readonly upload: Upload
    ) {
        worker.onmessage = ({ data }: MessageEvent<FromWorker>) => this.hear(data)
        worker.onerror = ({ message }) => this.fail(new Error(message || 'the hashing worker did not start'))
        const { files, wrap } = upload.picking
        worker.postMessage({ is: 'import', files, profile: upload.profile, wrap } satisfies ToWorker)
    }

    async *blocks(signal: AbortSignal): AsyncGenerator<Block> {
        signal.addEventListener('abort', () => this.wake())
        for (;;) {
            const block = this.queue.shift()
            if (signal.aborted) return
            if (block !== undefined) yield block
            else if (this.failure !== undefined) throw this.failure
            else if (this.ended) return
            else await new Promise<void>(resolve => (this.wake = resolve))
        }
    }

    private hear(message: FromWorker) {
        const { upload } = this
        switch (message.is) {
            case 'block': {
                const cid = CID.decode(message.cid)
                const { bytes, kind } = message
                if (upload.take(cid.toString(), bytes.length, kind)) this.queue.push({ cid, bytes })
                else this.worker.postMessage({ is: 'room', bytes: bytes.length } satisfies ToWorker)
                break
            }
            case 'again':
                upload.repeated += message.bytes
                break
            case 'read':
                upload.read += message.bytes
                break
            case 'root':
                this.root = upload.root = CID.decode(message.cid)
                this.ended = true
                break
            case 'failed':
                this.fail(message.path === undefined ? new Error(message.message) : new Unreadable(`${message.path}: ${message.message}.`))
        }
        upload.changed()
        this.wake()
    }

    private fail(error: Error) {
        this.failure = error
        this.wake()
    }
}

function ratio(part: number, whole: number): number {
    return whole <= 0 ? 0 : Math.min(1, part / whole)
}
