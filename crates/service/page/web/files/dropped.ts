// What was dropped, pasted or chosen, as files with paths.

import type { Picked } from '../dag/messages.ts'

export interface Picking {
    files: Picked[]
    /** What to call it all. */
    name: string
    /** Whether it is several things that need a folder around them. */
    wrap: boolean
    /** Bytes. */
    size: number
}

/** Files of a drop or a paste. Must be called while the event is being handled. */
export async function fromTransfer(transfer: DataTransfer): Promise<Picking | undefined> {
    // Both must be asked for at once: after the event they are gone.
    const entries = [...transfer.items].filter(({ kind }) => kind === 'file').map(item => item.webkitGetAsEntry())
    const plain = [...transfer.files]
    const files: Picked[] = []
    for (const [i, entry] of entries.entries()) {
        // A pasted picture has no entry.
        if (entry === null) {
            const file = plain[i]
            if (file !== undefined) files.push({ path: file.name, file })
        } else await walk(entry, files)
    }
    return picking(files)
}

/** Files of an `<input>`: with a folder's paths where one was chosen. */
export function fromInput(list: FileList): Picking | undefined {
    return picking([...list].map(file => ({ path: file.webkitRelativePath || file.name, file })))
}

/** Sorts out what is to be the root. */
export function picking(files: Picked[]): Picking | undefined {
    const [first] = files
    if (first === undefined) return undefined
    const distinct = apart(files)
    const tops = new Set(distinct.map(({ path }) => path.split('/', 1)[0] as string))
    const wrap = tops.size > 1
    return {
        files: distinct,
        name: wrap ? `${tops.size} items` : ([...tops][0] as string),
        wrap,
        size: distinct.reduce((sum, { file }) => sum + (file?.size ?? 0), 0)
    }
}

/** Two files of one path, such as two pasted pictures, get different names. */
function apart(files: Picked[]): Picked[] {
    const taken = new Set<string>()
    return files.map(picked => {
        let { path } = picked
        for (let n = 2; taken.has(path); n++) path = picked.path.replace(/(\.[^./]*)?$/, ` (${n})$1`)
        taken.add(path)
        return { ...picked, path }
    })
}

async function walk(entry: FileSystemEntry, into: Picked[]): Promise<void> {
    const path = entry.fullPath.replace(/^\//, '')
    if (entry.isFile) {
        const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject))
        into.push({ path, file })
        return
    }
    const reader = (entry as FileSystemDirectoryEntry).createReader()
    const before = into.length
    for (;;) {
        // A hundred at a time; an empty answer is the end.
        const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject))
        if (some.length === 0) break
        for (const one of some) await walk(one, into)
    }
    if (into.length === before) into.push({ path })
}
