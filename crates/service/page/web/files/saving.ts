// Where downloads go: to disk as they come where the browser can, else put together in memory.

import { plainName } from '../address.ts'
import { bytes as size } from '../format.ts'
import { TooLargeForMemory } from '../trouble.ts'
import type { FoundFile } from '../dag/reading.ts'
import { MOST_FILES, Zip } from './zip.ts'

/** The most that is put together in memory, in bytes. */
const MEMORY = 2e9

interface Pickers {
    showSaveFilePicker?: (options: { suggestedName: string }) => Promise<FileSystemFileHandle>
    showDirectoryPicker?: (options: { mode: 'readwrite' }) => Promise<FileSystemDirectoryHandle>
}

const pickers = globalThis as unknown as Pickers

/** A place that was chosen, to which files are written. */
export type Place = (files: FoundFile[], emptyFolders: string[][], signal: AbortSignal) => Promise<void>

/** Lets the user choose where one file goes. `undefined` where they changed their mind. */
export async function placeForFile(name: string, length: number): Promise<Place | undefined> {
    if (pickers.showSaveFilePicker) {
        const handle = await chosen(pickers.showSaveFilePicker({ suggestedName: plainName(name) }))
        return handle && (async ([file], _, signal) => writeFile(handle, (file as FoundFile).content(signal), signal))
    }
    mustFit(length)
    return async ([file], _, signal) => {
        const parts: BlobPart[] = []
        for await (const part of (file as FoundFile).content(signal)) parts.push(part as BlobPart)
        offer(new Blob(parts, { type: 'application/octet-stream' }), plainName(name))
    }
}

/** Lets the user choose where a folder goes: into a folder of the disk, or a zip archive. */
export async function placeForFolder(name: string, length: number, count: number): Promise<Place | undefined> {
    if (pickers.showDirectoryPicker) {
        const chosenFolder = await chosen(pickers.showDirectoryPicker({ mode: 'readwrite' }))
        return (
            chosenFolder &&
            (async (files, emptyFolders, signal) => {
                const top = await chosenFolder.getDirectoryHandle(plainName(name), { create: true })
                const folder = async (path: string[]) => {
                    let at = top
                    for (const part of path) at = await at.getDirectoryHandle(plainName(part), { create: true })
                    return at
                }
                for (const path of emptyFolders) await folder(path)
                for (const { path, content } of files) {
                    const into = await folder(path.slice(0, -1))
                    const handle = await into.getFileHandle(plainName(path.at(-1) as string), { create: true })
                    await writeFile(handle, content(signal), signal)
                }
            })
        )
    }
    mustFit(length)
    if (count > MOST_FILES) throw new TooLargeForMemory(`These are ${count.toLocaleString('en')} files.`)
    return async (files, emptyFolders, signal) => {
        const zip = new Zip()
        const now = new Date()
        const top = plainName(name)
        const inside = (path: string[]) => [top, ...path.map(plainName)].join('/')
        for (const path of emptyFolders) await zip.add(`${inside(path)}/`, nothing(), now)
        for (const { path, content } of files) await zip.add(inside(path), content(signal), now)
        offer(zip.end(), `${top}.zip`)
    }
}

async function chosen<T>(picker: Promise<T>): Promise<T | undefined> {
    try {
        return await picker
    } catch (error) {
        if (error instanceof DOMException && error.name === 'AbortError') return undefined
        throw error
    }
}

async function writeFile(handle: FileSystemFileHandle, content: AsyncIterable<Uint8Array>, signal: AbortSignal) {
    const out = await handle.createWritable()
    try {
        for await (const part of content) {
            signal.throwIfAborted()
            await out.write(part as Uint8Array<ArrayBuffer>)
        }
        await out.close()
    } catch (error) {
        // What was there before stays.
        await out.abort().catch(() => {})
        throw error
    }
}

/** Hands a blob to the browser's own downloads. */
function offer(blob: Blob, name: string): void {
    const url = URL.createObjectURL(blob)
    const link = document.createElement('a')
    link.href = url
    link.download = name
    link.click()
    // The download has begun by then; earlier, some browsers lose it.
    setTimeout(() => URL.revokeObjectURL(url), 60_000)
}

function mustFit(length: number): void {
    if (length > MEMORY) throw new TooLargeForMemory(`It has ${size(length)}.`)
}

async function* nothing(): AsyncGenerator<Uint8Array> {}
