// What the colours of the blocks mean, with counts: the mosaic for those who cannot see it.

import type { Rows } from '../transfer/rows.ts'
import { h, text } from './dom.ts'

const WORDS = { made: 'hashed', moving: 'under way', direct: 'straight to S3', stored: 'there already', proxied: 'through this server' }

export class Legend {
    readonly element = h('ul', { class: 'legend', 'aria-label': 'Blocks' })
    private readonly items = Object.entries(WORDS).map(([name, words]) => {
        const item = h('li', { class: name, hidden: true })
        this.element.append(item)
        return { name, words, item }
    })

    /** `from` where blocks come from S3 rather than go there. */
    constructor(private readonly from = false) {}

    update(rows: Rows): void {
        const counts: Record<string, number> = rows.ways()
        counts['made'] = rows.list.filter(({ stage }) => stage === 'made').length
        counts['moving'] = rows.list.filter(({ stage }) => stage === 'moving').length
        for (const { name, words, item } of this.items) {
            const count = counts[name] ?? 0
            item.hidden = count === 0
            text(item, `${count.toLocaleString('en')} ${this.from && name === 'direct' ? 'straight from S3, checked' : words}`)
        }
    }
}
