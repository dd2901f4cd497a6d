// The blocks of a transfer one by one: their CIDs, sizes, ways, and links that read them at S3.

import { CID } from 'multiformats/cid'
import { bytes, counted, shortCid } from '../format.ts'
import type { Service } from '../service.ts'
import type { Row, Rows } from '../transfer/rows.ts'
import { copyButton, h, text } from './dom.ts'

/** Rows shown before more are asked for. */
const PAGE = 50

const WAYS = { direct: 'direct', stored: 'there already', proxied: 'through the service' }
const KINDS = { data: '', parts: 'parts', folder: 'folder' }

export class BlockList {
    private readonly title = h('span', {}, 'Blocks')
    private readonly list = h('ul', { class: 'list' })
    private readonly more = h('button', { type: 'button', class: 'small', hidden: true, onclick: () => this.show(PAGE) }, 'Show more')
    readonly element = h(
        'details',
        { class: 'blocks', ontoggle: () => this.element.open && this.list.childElementCount === 0 && this.show(PAGE) },
        h('summary', {}, this.title),
        this.list,
        this.more
    )
    private readonly shown: { row: Row; size: HTMLElement; way: HTMLElement; link: HTMLAnchorElement; linked: number }[] = []

    constructor(
        private readonly rows: Rows,
        private readonly service: Service
    ) {
        // Links end after some minutes: those that can be reached with the pointer or the keyboard are renewed.
        for (const event of ['pointerenter', 'focusin']) this.element.addEventListener(event, () => void this.link())
    }

    update(): void {
        text(this.title, counted(this.rows.list.length, 'block'))
        if (!this.element.open) return
        // A retry begins anew.
        if (this.shown.some(({ row }, i) => this.rows.list[i] !== row)) this.clear()
        if (this.shown.length === 0) this.show(PAGE)
        for (const { row, size, way } of this.shown) {
            text(size, row.size === 0 ? '' : bytes(row.size))
            text(way, row.way === undefined ? (row.stage === 'made' ? 'hashed' : row.stage === 'done' ? 'checked' : 'under way') : WAYS[row.way])
            way.className = `way ${row.way ?? (row.stage === 'done' ? 'direct' : '')}`
        }
        this.more.hidden = this.shown.length >= this.rows.list.length
        if (this.shown.some(({ row, linked }) => linked === 0 && row.stage === 'done')) void this.link()
    }

    private clear() {
        this.list.replaceChildren()
        this.shown.length = 0
    }

    private show(count: number) {
        for (const row of this.rows.list.slice(this.shown.length, this.shown.length + count)) {
            const size = h('span', { class: 'size' })
            const way = h('span', { class: 'way' })
            const link = h('a', { class: 'button small', target: '_blank', rel: 'noopener noreferrer', 'aria-label': `Read block ${row.cid} at S3`, hidden: true }, 'Read')
            this.list.append(
                h(
                    'li',
                    {},
                    h('span', { class: 'name' }, h('code', { title: row.cid }, shortCid(row.cid)), KINDS[row.kind] !== '' && h('span', { class: 'kind' }, KINDS[row.kind])),
                    size,
                    way,
                    h('span', { class: 'row' }, copyButton('Copy', () => row.cid, 'small', `Copy ${row.cid}`), link)
                )
            )
            this.shown.push({ row, size, way, link, linked: 0 })
        }
        this.update()
    }

    private linking = false

    /** Gives links to the rows that have none, or whose link is old. */
    private async link() {
        const old = Date.now() - 4 * 60_000
        const due = this.shown.filter(({ row, linked }) => row.stage === 'done' && linked < old)
        if (this.linking || due.length === 0 || !this.element.open) return
        this.linking = true
        for (const shown of due) shown.linked = Date.now()
        try {
            const links = await this.service.links(due.map(({ row }) => CID.parse(row.cid)))
            for (const [i, { link }] of due.entries()) {
                link.hidden = links[i] === undefined
                if (links[i] !== undefined) link.href = links[i]
            }
        } catch {
            // A token that may only write has no links. The rest of the row is as good without.
        } finally {
            this.linking = false
        }
    }
}
