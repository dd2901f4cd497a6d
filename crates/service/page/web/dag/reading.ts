// A DAG is walked and its files are read, from blocks that were checked against their CIDs.

import { exporter, type UnixFSDirectory, type UnixFSEntry } from 'ipfs-unixfs-exporter'
import type { CID } from 'multiformats/cid'

/** A block of a CID, checked. */
export type GetBlock = (cid: CID, signal?: AbortSignal) => Promise<Uint8Array>

export interface FoundFile {
    /** Names from the root to it; empty for a root that is a file itself. */
    path: string[]
    cid: CID
    /** In bytes. */
    size: number
    content(signal: AbortSignal): AsyncIterable<Uint8Array>
}

export interface Found {
    folder: boolean
    files: FoundFile[]
    /** Folders without anything in them. */
    emptyFolders: string[][]
    /** Bytes of all files. */
    size: number
}

/** It is a DAG, but of something else than files. */
export class NoFiles extends Error {
    override name = 'NoFiles'
}

/** Blocks asked for at once. */
const AT_ONCE = 16

/** Finds all files under `root`. `progress` hears how many were found so far. */
export async function findFiles(
    root: CID,
    get: GetBlock,
    signal: AbortSignal,
    progress: (files: number) => void = () => {}
): Promise<Found> {
    const store = blocks(get)
    const found: Found = { folder: false, files: [], emptyFolders: [], size: 0 }

    const visit = async (entry: UnixFSEntry, path: string[]): Promise<(() => Promise<void>)[]> => {
        if (entry.type === 'object') throw new NoFiles('this CID names data that is neither a file nor a folder')
        if (entry.type === 'directory') return visitFolder(entry, path)
        const size = Number(entry.size)
        found.files.push({
            path,
            cid: entry.cid,
            size,
            content: signal => entry.content({ signal, blockReadConcurrency: AT_ONCE } as object)
        })
        found.size += size
        progress(found.files.length)
        return []
    }
    const visitFolder = async (folder: UnixFSDirectory, path: string[]) => {
        const below: (() => Promise<void>)[] = []
        for await (const { cid, name } of folder.entries({ signal } as object)) {
            const inside = [...path, name]
            below.push(async () => {
                tasks.push(...(await visit(await exporter(cid, store, { signal }), inside)))
            })
        }
        if (below.length === 0) found.emptyFolders.push(path)
        return below
    }

    const first = await exporter(root, store, { signal })
    found.folder = first.type === 'directory'
    // A task may add tasks, so a worker that finds none waits for the others.
    const tasks = await visit(first, [])
    let running = 0
    await new Promise<void>((resolve, reject) => {
        const next = () => {
            if (tasks.length === 0 && running === 0) return resolve()
            while (running < AT_ONCE && tasks.length > 0) {
                running += 1
                // From the end: depth first, so that few folders are half done.
                tasks.pop()!().then(
                    () => {
                        running -= 1
                        next()
                    },
                    reject
                )
            }
        }
        next()
    })
    found.files.sort((a, b) => byPath(a.path, b.path))
    return found
}

function byPath(a: string[], b: string[]): number {
    for (let i = 0; i < Math.min(a.length, b.length); i++) {
        const order = (a[i] as string).localeCompare(b[i] as string, undefined, { numeric: true })
        if (order !== 0) return order
    }
    return a.length - b.length
}

function blocks(get: GetBlock): Parameters<typeof exporter>[1] {
    return {
        async *get(cid: CID, options?: { signal?: AbortSignal }) {
            yield await get(cid, options?.signal)
        }
    } as unknown as Parameters<typeof exporter>[1]
}
