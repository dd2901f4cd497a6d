// Every block a cell, in the order in which the DAG is made.

import type { Row } from '../transfer/rows.ts'
import { h } from './dom.ts'

const CELL = 11
const GAP = 3
/** Cells at most; above, one cell stands for several blocks. */
const MOST = 1200

export class Mosaic {
    readonly element = h('canvas', { class: 'mosaic', height: 0, 'aria-hidden': 'true' })
    private readonly colours = matchMedia('(prefers-color-scheme: dark)')

    /** Draws `rows`, and room for as many as are `expected`. */
    draw(rows: readonly Row[], expected: number): void {
        const width = this.element.clientWidth
        if (width === 0) return
        const total = Math.max(rows.length, expected)
        const each = Math.ceil(total / MOST)
        const cells = Math.ceil(total / each)
        const columns = Math.max(1, Math.floor((width + GAP) / (CELL + GAP)))
        const height = Math.max(1, Math.ceil(cells / columns)) * (CELL + GAP) - GAP
        const sharp = devicePixelRatio || 1
        if (this.element.width !== Math.round(width * sharp) || this.element.height !== Math.round(height * sharp)) {
            this.element.width = Math.round(width * sharp)
            this.element.height = Math.round(height * sharp)
            this.element.style.height = `${height}px`
        }
        const pen = this.element.getContext('2d')
        if (pen === null) return
        const style = getComputedStyle(this.element)
        const colour = (name: string) => style.getPropertyValue(name).trim()
        const fills = {
            empty: colour('--line'),
            made: colour('--cell'),
            moving: colour('--s3-mid'),
            direct: colour('--s3'),
            stored: colour('--kept'),
            proxied: colour('--server')
        }
        pen.setTransform(sharp, 0, 0, sharp, 0, 0)
        pen.clearRect(0, 0, width, height)
        for (let cell = 0; cell < cells; cell++) {
            const x = (cell % columns) * (CELL + GAP)
            const y = Math.floor(cell / columns) * (CELL + GAP)
            const row = least(rows, cell * each, each)
            pen.fillStyle = fills[row === undefined ? 'empty' : fillOf(row)]
            pen.beginPath()
            pen.roundRect(x, y, CELL, CELL, 2.5)
            pen.fill()
        }
    }

    /** Hears when colours or widths change, until the element is gone. */
    watch(redraw: () => void): void {
        this.colours.addEventListener('change', redraw)
        new ResizeObserver(redraw).observe(this.element)
    }
}

/** The block that is least far of those that share a cell. */
function least(rows: readonly Row[], from: number, count: number): Row | undefined {
    const order = { made: 0, moving: 1, moved: 2, done: 3 }
    let found: Row | undefined
    for (let i = from; i < from + count && i < rows.length; i++) {
        const row = rows[i] as Row
        if (found === undefined || order[row.stage] < order[found.stage]) found = row
    }
    return found
}

function fillOf({ stage, way }: Row): 'made' | 'moving' | 'direct' | 'stored' | 'proxied' {
    if (stage === 'made' || stage === 'moving') return stage
    return way ?? 'direct'
}
