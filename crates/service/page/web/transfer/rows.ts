// The blocks of a transfer, as they are shown.

import type { Kind } from '../dag/importing.ts'
import type { Way } from '../service.ts'

/** Made or asked for; under way; at S3; and confirmed, or checked. */
export type Stage = 'made' | 'moving' | 'moved' | 'done'

export interface Row {
    cid: string
    size: number
    kind: Kind
    stage: Stage
    way?: Way
}

/** Rows in order, found by CID. */
export class Rows {
    readonly list: Row[] = []
    private readonly byCid = new Map<string, Row>()

    add(row: Row): Row {
        this.list.push(row)
        this.byCid.set(row.cid, row)
        return row
    }

    find(cid: string): Row | undefined {
        return this.byCid.get(cid)
    }

    clear(): void {
        this.list.length = 0
        this.byCid.clear()
    }

    /** How many blocks went each way. */
    ways(): Record<Way, number> {
        const ways = { direct: 0, stored: 0, proxied: 0 }
        for (const { way } of this.list) if (way !== undefined) ways[way] += 1
        return ways
    }
}

/** Bytes a second over the last seconds. */
export class Speed {
    private readonly samples: [at: number, total: number][] = []

    note(total: number, now: number): void {
        this.samples.push([now, total])
        while (this.samples.length > 2 && now - (this.samples[0] as [number, number])[0] > 4000) this.samples.shift()
    }

    perSecond(now: number): number {
        const first = this.samples[0]
        const last = this.samples.at(-1)
        if (first === undefined || last === undefined) return 0
        // Time that passed without news counts too.
        const seconds = (Math.max(last[0], now - 500) - first[0]) / 1000
        return seconds < 0.15 ? 0 : (last[1] - first[1]) / seconds
    }
}
