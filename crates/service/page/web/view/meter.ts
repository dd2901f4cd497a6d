// Where the bytes went: a little through this server, the rest straight to S3. Drawn to scale.

import { bytes, factor } from '../format.ts'
import type { Bytes } from '../traffic.ts'
import { h, s, text } from './dom.ts'

export class MeterView {
    private readonly server = h('dd', { class: 'server' }, '0 B')
    private readonly s3 = h('dd', { class: 's3' }, '0 B')
    private readonly times = h('b', { class: 'none' }, '–')
    private readonly words = h('p', {}, 'Nothing has moved yet.')
    private readonly serverPart = s('rect', { class: 'server', x: 0, y: 0, width: 0, height: 10 })
    private readonly s3Part = s('rect', { class: 's3', x: 0, y: 0, width: 0, height: 10 })
    readonly element = h(
        'section',
        { class: 'meter', 'aria-labelledby': 'meter-title' },
        h('h2', { id: 'meter-title' }, 'Where the bytes went'),
        h(
            'dl',
            { class: 'sides' },
            h('dt', { class: 'server' }, 'through this server'),
            this.server,
            h('dt', { class: 's3' }, 'straight to S3'),
            this.s3
        ),
        h('div', { class: 'times' }, this.times, h('span', {}, 'more at S3')),
        s('svg', { class: 'scale', viewBox: '0 0 1000 10', preserveAspectRatio: 'none', 'aria-hidden': 'true' }, this.s3Part, this.serverPart),
        this.words
    )
    private shown = 0

    /** Shows `traffic`; `true` while the number still runs after it. */
    update({ service, s3 }: Bytes): boolean {
        text(this.server, bytes(service))
        text(this.s3, bytes(s3))
        const all = service + s3
        if (all === 0) return false
        const part = (1000 * service) / all
        this.serverPart.setAttribute('width', String(part))
        this.s3Part.setAttribute('x', String(part))
        this.s3Part.setAttribute('width', String(1000 - part))
        if (s3 === 0) {
            text(this.words, 'Only questions and answers so far.')
            return false
        }
        const ratio = s3 / service
        // Runs after the number, so that it counts up rather than jumps.
        const still = matchMedia('(prefers-reduced-motion: reduce)').matches
        this.shown = still || Math.abs(ratio - this.shown) < Math.max(0.05, ratio * 0.003) ? ratio : this.shown + (ratio - this.shown) * 0.18
        text(this.times, ratio < 0.1 ? 'none' : `${factor(this.shown)}×`)
        this.times.className = ratio < 1 ? 'low' : ''
        text(
            this.words,
            ratio < 1
                ? 'Most of it passes through this server.'
                : `The bar is to scale: this server’s part of it is ${percent(service / all)}.`
        )
        return this.shown !== ratio
    }
}

function percent(part: number): string {
    const value = part * 100
    return `${value < 0.1 ? value.toFixed(3) : value < 10 ? value.toFixed(2) : value.toFixed(0)} %`
}
