// Files become UnixFS DAGs with the CIDs that Kubo gives them.

import * as dagPb from '@ipld/dag-pb'
import type { Blockstore } from 'interface-blockstore'
import { UnixFS } from 'ipfs-unixfs'
import { importer } from 'ipfs-unixfs-importer'
import type { CID } from 'multiformats/cid'
import type { Profile } from './profile.ts'

/** A file, or an empty folder where there is no content. */
export interface Source {
    path: string
    content?: AsyncIterable<Uint8Array>
}

/** What a block is in its DAG: bytes of a file, the list of a file's parts, or a folder. */
export type Kind = 'data' | 'parts' | 'folder'

export interface MadeBlock {
    cid: CID
    bytes: Uint8Array
    kind: Kind
}

/**
 * Cuts and hashes `sources`, gives every block to `keep` (once, however often it comes), and answers
 * with the root. `again` hears of the size of blocks that came before. With `wrap`, one folder holds
 * all sources; without, their common folder or the only file is the root.
 */
export async function importDag(
    sources: AsyncIterable<Source> | Iterable<Source>,
    profile: Profile,
    wrap: boolean,
    keep: (block: MadeBlock) => Promise<void>,
    again: (size: number) => void = () => {}
): Promise<CID> {
    const made = new Set<string>()
    const store: Pick<Blockstore, 'put' | 'get' | 'has'> = {
        async put(cid, bytes) {
            if (!(bytes instanceof Uint8Array)) throw new TypeError('blocks come whole')
            const name = cid.toString()
            if (made.has(name)) again(bytes.length)
            else {
                made.add(name)
                await keep({ cid, bytes, kind: kindOf(cid, bytes) })
            }
            return cid
        },
        get() {
            throw new Error('an import reads no blocks')
        },
        has: cid => made.has(cid.toString())
    }
    let root: CID | undefined
    const options = { profile, wrapWithDirectory: wrap, fileImportConcurrency: 4, blockWriteConcurrency: 16 }
    for await (const entry of importer(sources, store as Blockstore, options)) root = entry.cid
    if (root === undefined) throw new Error('nothing to import')
    return root
}

function kindOf(cid: CID, bytes: Uint8Array): Kind {
    if (cid.code !== dagPb.code) return 'data'
    const node = dagPb.decode(bytes)
    if (node.Data !== undefined && UnixFS.unmarshal(node.Data).isDirectory()) return 'folder'
    return node.Links.length > 0 ? 'parts' : 'data'
}
