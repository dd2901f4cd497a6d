// What the page and its hashing worker say to each other.

import type { Kind } from './importing.ts'
import type { Profile } from './profile.ts'

export interface Picked {
    /** Where it lies in what was picked, with `/` between names. */
    path: string
    /** Absent for an empty folder. */
    file?: File
}

export type ToWorker =
    | { is: 'import'; files: Picked[]; profile: Profile; wrap: boolean }
    /** Blocks of so many bytes are stored: as many more may come. */
    | { is: 'room'; bytes: number }

export type FromWorker =
    | { is: 'block'; cid: Uint8Array; bytes: Uint8Array; kind: Kind }
    /** A block of so many bytes came before. */
    | { is: 'again'; bytes: number }
    /** So many bytes of files were read. */
    | { is: 'read'; bytes: number }
    | { is: 'root'; cid: Uint8Array }
    /** A file could not be read; `path` says which, where that is known. */
    | { is: 'failed'; message: string; path?: string }
