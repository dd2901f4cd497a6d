// What a share link names: found, read and saved, every block checked.

import * as dagPb from '@ipld/dag-pb'
import type { CID } from 'multiformats/cid'
import type { Shared } from '../address.ts'
import { findFiles, type Found, type FoundFile } from '../dag/reading.ts'
import type { Place } from '../files/saving.ts'
import type { Service } from '../service.ts'
import { Rows, Speed } from './rows.ts'

export type DownloadState = 'finding' | 'ready' | 'saving' | 'done' | 'failed'

/** Bytes of blocks kept, so that what the search read is not read again to be saved. */
const KEPT = 32 << 20

export class Download {
    readonly rows = new Rows()
    state: DownloadState = 'finding'
    found: Found | undefined
    /** Files found so far. */
    seen = 0
    failure: unknown
    /** Bytes of the save under way: so far, and in all. */
    saved = 0
    saving = 0
    began = 0
    ended: number | undefined
    changed: () => void = () => {}

    private readonly speedometer = new Speed()
    private readonly kept = new Map<string, Uint8Array>()
    private keptBytes = 0
    private stop = new AbortController()

    constructor(
        readonly shared: Shared,
        private readonly service: Service
    ) {}

    get progress(): number {
        return this.state === 'done' ? 1 : this.saving === 0 ? 0 : Math.min(0.999, this.saved / this.saving)
    }

    get perSecond(): number {
        return this.speedometer.perSecond(performance.now())
    }

    /** Ends what is under way. */
    cancel(): void {
        this.stop.abort(new DOMException('cancelled', 'AbortError'))
    }

    /** Looks for the files. */
    async find(): Promise<void> {
        this.state = 'finding'
        this.failure = undefined
        this.seen = 0
        this.stop = new AbortController()
        const { signal } = this.stop
        try {
            this.found = await findFiles(this.shared.cid, this.get, signal, files => {
                this.seen = files
                this.changed()
            })
            this.state = 'ready'
        } catch (error) {
            this.failure = error
            this.state = 'failed'
        }
        this.changed()
    }

    /** Saves files to a place; all of them unless told which. */
    async save(place: Place, files = this.found?.files ?? [], emptyFolders = this.found?.emptyFolders ?? []): Promise<void> {
        this.state = 'saving'
        this.failure = this.ended = undefined
        this.saved = 0
        this.saving = files.reduce((sum, { size }) => sum + size, 0)
        this.began = performance.now()
        this.stop = new AbortController()
        const { signal } = this.stop
        try {
            await place(files.map(file => this.counted(file)), emptyFolders, signal)
            this.state = 'done'
        } catch (error) {
            this.failure = error
            this.state = signal.aborted ? 'ready' : 'failed'
        }
        this.ended = performance.now()
        this.changed()
    }

    /** The beginning of a file, for a preview: at most `most` bytes. */
    async beginning(file: FoundFile, most: number, signal: AbortSignal): Promise<Uint8Array<ArrayBuffer>[]> {
        const parts: Uint8Array<ArrayBuffer>[] = []
        let length = 0
        for await (const part of file.content(signal)) {
            parts.push(part.slice(0, most - length))
            length += part.length
            if (length >= most) break
        }
        return parts
    }

    private counted(file: FoundFile): FoundFile {
        const content = (signal: AbortSignal) => this.count(file.content(signal))
        return { ...file, content }
    }

    private async *count(content: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
        for await (const part of content) {
            this.saved += part.length
            this.speedometer.note(this.saved, performance.now())
            this.changed()
            yield part
        }
    }

    private readonly get = async (cid: CID, signal?: AbortSignal): Promise<Uint8Array> => {
        const name = cid.toString()
        const kept = this.kept.get(name)
        if (kept !== undefined) return kept
        const row = this.rows.find(name) ?? this.rows.add({ cid: name, size: 0, kind: 'data', stage: 'moving' })
        this.changed()
        const { bytes, way } = await this.service.get(cid, signal)
        row.way = way
        row.size = bytes.length
        row.stage = 'done'
        this.keep(name, bytes)
        this.changed()
        // A folder, or the parts of a file: what is in it will be asked for next.
        if (cid.code === dagPb.code) this.service.prepare(dagPb.decode(bytes).Links.map(({ Hash }) => Hash))
        return bytes
    }

    private keep(name: string, bytes: Uint8Array) {
        this.kept.set(name, bytes)
        this.keptBytes += bytes.length
        for (const [oldest, { length }] of this.kept) {
            if (this.keptBytes <= KEPT) break
            this.kept.delete(oldest)
            this.keptBytes -= length
        }
    }
}
