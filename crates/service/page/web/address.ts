// What the address says: the fragment is the page's only input, and is never sent to a server.

import { CID } from 'multiformats/cid'

/** What a share link names. */
export interface Shared {
    cid: CID
    name: string
    /** Bytes of its files, as the sender said; only for show. */
    size?: number
}

export interface Address {
    shared?: Shared
    /** A share link whose CID is none. */
    broken?: true
    /** The service that has the blocks, where it is not the page's own. */
    elsewhere?: string
    token?: string
}

/** Reads a fragment. */
export function readAddress(fragment: string, origin: string): Address {
    const members = new URLSearchParams(fragment.replace(/^#/, ''))
    const address: Address = {}
    const token = members.get('token')?.trim()
    if (token) address.token = token
    const text = members.get('cid')
    if (text === null) return address
    try {
        const cid = CID.parse(text.trim())
        const size = Number(members.get('size') ?? NaN)
        address.shared = {
            cid,
            name: plainName(members.get('name') ?? '') || cid.toString(),
            ...(Number.isSafeInteger(size) && size >= 0 ? { size } : {})
        }
    } catch {
        address.broken = true
    }
    const service = members.get('service')
    if (service !== null && URL.canParse(service)) {
        const there = new URL(service)
        if (there.origin !== origin && /^https?:$/.test(there.protocol)) address.elsewhere = there.origin
    }
    return address
}

/** A link that opens `shared` on the page at `page`. */
export function shareLink(page: string, shared: Shared, token?: string): string {
    const url = new URL(page)
    const members = new URLSearchParams({ cid: shared.cid.toString(), name: shared.name })
    if (shared.size !== undefined) members.set('size', String(shared.size))
    members.set('service', url.origin)
    if (token) members.set('token', token)
    // Spaces as %20: some programs that make links of texts break them at a plus.
    url.hash = members.toString().replaceAll('+', '%20')
    url.search = ''
    return url.href
}

/** The same fragment without its token. */
export function withoutToken(fragment: string): string {
    const members = new URLSearchParams(fragment.replace(/^#/, ''))
    members.delete('token')
    const rest = members.toString().replaceAll('+', '%20')
    return rest === '' ? '' : `#${rest}`
}

/** A CID or a share link that somebody typed. */
export function readTyped(text: string, origin: string): Address {
    const typed = text.trim()
    if (/^https?:/.test(typed) && URL.canParse(typed)) {
        const url = new URL(typed)
        if (url.hash.includes('cid=')) {
            const address = readAddress(url.hash, origin)
            if (url.origin !== origin) address.elsewhere ??= url.origin
            return address
        }
    }
    const cid = typed.replace(/^ipfs:\/\//, '').replace(/^.*\/ipfs\//, '').replace(/[/?#].*$/, '')
    return readAddress(`cid=${encodeURIComponent(cid)}`, origin)
}

/** A name as it may be shown and saved under: no path, no control or direction characters. */
export function plainName(name: string): string {
    // oxlint-disable-next-line no-control-regex
    const plain = name.replace(/[\u0000-\u001f\u007f-\u009f\u200e\u200f\u202a-\u202e\u2066-\u2069/\\:*?"<>|]/g, '_').trim()
    return /^\.*$/.test(plain) ? plain.replaceAll('.', '_') : plain.slice(0, 200)
}
