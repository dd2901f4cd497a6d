// Looks into files. Bytes of others are only ever shown as an image, a film, a sound or plain text:
// nothing of them is run, and SVG, HTML and PDF count as text or not at all.

import type { FoundFile } from '../dag/reading.ts'
import type { Download } from '../transfer/download.ts'
import { bytes } from '../format.ts'
import { h } from './dom.ts'

type Look = { as: 'img' | 'video' | 'audio'; type: string } | { as: 'text' }

const MEDIA: Record<string, Look> = {
    ...of('img', { png: 'image/png', jpg: 'image/jpeg', jpeg: 'image/jpeg', gif: 'image/gif', webp: 'image/webp', avif: 'image/avif', bmp: 'image/bmp' }),
    ...of('video', { mp4: 'video/mp4', m4v: 'video/mp4', webm: 'video/webm', mov: 'video/quicktime' }),
    ...of('audio', { mp3: 'audio/mpeg', m4a: 'audio/mp4', ogg: 'audio/ogg', opus: 'audio/ogg', wav: 'audio/wav', flac: 'audio/flac' })
}
const TEXT = new Set('txt md csv tsv json jsonl xml html htm svg css js mjs ts tsx jsx rs go py rb java c h cpp hpp cs sh toml yaml yml ini cfg log sql tex diff patch'.split(' '))

/** The most that is loaded to be looked at, in bytes. */
const MOST_MEDIA = 64 << 20
const MOST_TEXT = 256 << 10

/** How a file of this name can be looked at, if at all. */
export function lookOf(name: string, size: number): Look | undefined {
    const extension = /\.([^.]+)$/.exec(name.toLowerCase())?.[1] ?? ''
    if (size === 0) return undefined
    if (TEXT.has(extension) || /^(readme|license|changelog|makefile|dockerfile)$/i.test(name)) return { as: 'text' }
    return size > MOST_MEDIA ? undefined : MEDIA[extension]
}

/** Loads a file and shows it in `into`. The answer takes it away again. */
export async function showPreview(into: HTMLElement, download: Download, file: FoundFile, look: Look, signal: AbortSignal): Promise<() => void> {
    if (look.as === 'text') {
        const parts = await download.beginning(file, MOST_TEXT, signal)
        const text = new TextDecoder().decode(await new Blob(parts).arrayBuffer())
        const rest = file.size > MOST_TEXT ? `\n\n… ${bytes(file.size - MOST_TEXT)} more` : ''
        into.replaceChildren(h('pre', { tabindex: 0 }, text + rest))
        return () => into.replaceChildren()
    }
    const parts = await download.beginning(file, MOST_MEDIA, signal)
    const url = URL.createObjectURL(new Blob(parts, { type: look.type }))
    const name = file.path.at(-1) ?? 'file'
    const element = look.as === 'img' ? h('img', { src: url, alt: name }) : h(look.as, { src: url, controls: true, 'aria-label': name })
    element.addEventListener('error', () => into.replaceChildren(h('p', {}, 'This browser cannot show it.')))
    into.replaceChildren(element)
    return () => {
        into.replaceChildren()
        URL.revokeObjectURL(url)
    }
}

function of(as: 'img' | 'video' | 'audio', types: Record<string, string>): Record<string, Look> {
    return Object.fromEntries(Object.entries(types).map(([extension, type]) => [extension, { as, type }]))
}
