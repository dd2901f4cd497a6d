// An upload: how far it is, its blocks, and its links.

import { bytes, counted, duration, shortCid, speed } from '../format.ts'
import type { Upload } from '../transfer/upload.ts'
import type { Service } from '../service.ts'
import type { Trouble } from '../trouble.ts'
import { BlockList } from './blocks.ts'
import { copyButton, eachFrame, h, say, text } from './dom.ts'
import { Legend } from './legend.ts'
import { Mosaic } from './mosaic.ts'
import { notice } from './notice.ts'
import { sharePanel } from './share.ts'

/** What a card needs of the page around it. */
export interface Surroundings {
    service: Service
    page: string
    publicReads: () => boolean
    explain: (error: unknown) => Trouble
    askForToken: () => Promise<boolean>
    done: (upload: Upload) => void
}

export class UploadCard {
    private readonly hashed = h('i')
    private readonly moved = h('i')
    private readonly bar = h('div', { class: 'bar', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100 }, this.hashed, this.moved)
    private readonly did = h('b')
    private readonly pace = h('span')
    private readonly cid = h('code')
    private readonly cidLine = h('div', { class: 'cid' })
    private readonly mosaic = new Mosaic()
    private readonly legend = new Legend()
    private readonly trouble = h('div')
    private readonly below = h('div')
    private readonly cancel = h('button', { type: 'button', class: 'small' }, 'Cancel')
    private readonly remove = h('button', { type: 'button', class: 'small quiet', hidden: true }, 'Remove')
    private readonly blocks: BlockList
    readonly element: HTMLElement
    private last: Upload['state'] | undefined
    readonly update = eachFrame(() => this.draw())

    constructor(
        private readonly upload: Upload,
        private readonly around: Surroundings
    ) {
        const { picking } = upload
        this.blocks = new BlockList(upload.rows, around.service)
        this.bar.setAttribute('aria-label', `Upload of ${picking.name}`)
        this.cancel.setAttribute('aria-label', `Cancel the upload of ${picking.name}`)
        this.cancel.addEventListener('click', () => upload.cancel())
        this.remove.addEventListener('click', () => {
            this.element.remove()
        })
        this.cidLine.append(this.cid, copyButton('Copy', () => String(upload.root), 'small quiet', 'Copy the CID'))
        const count = picking.files.filter(({ file }) => file !== undefined).length
        const about = count === 1 ? bytes(picking.size) : `${counted(count, 'file')}, ${bytes(picking.size)}`
        this.element = h(
            'article',
            { class: 'sheet transfer' },
            h('div', { class: 'head' }, h('div', {}, h('h3', {}, picking.name), h('p', { class: 'numbers' }, about)), h('div', { class: 'row' }, this.cancel, this.remove)),
            this.bar,
            h('p', { class: 'state' }, this.did, this.pace),
            this.mosaic.element,
            this.legend.element,
            this.trouble,
            this.below,
            this.blocks.element
        )
        upload.changed = this.update
        this.mosaic.watch(this.update)
        this.update()
    }

    private draw() {
        const { upload } = this
        const { state } = upload
        const percent = Math.floor(upload.progress * 100)
        this.hashed.style.transform = `scaleX(${upload.hashed})`
        this.moved.style.transform = `scaleX(${upload.progress})`
        this.bar.setAttribute('aria-valuenow', String(percent))
        this.element.classList.toggle('done', state === 'done')
        this.element.classList.toggle('failed', state === 'failed')
        this.mosaic.draw(upload.rows.list, upload.expected)
        this.legend.update(upload.rows)
        this.blocks.update()
        if (state === 'running') this.running(percent)
        if (state !== this.last) {
            this.last = state
            this.cancel.hidden = state !== 'running'
            this.remove.hidden = state === 'running'
            if (state === 'running') this.trouble.replaceChildren()
            else this.over()
        }
    }

    private running(percent: number) {
        const { upload } = this
        const { perSecond } = upload
        const left = perSecond > 0 ? (upload.picking.size - upload.moved - upload.repeated) / perSecond : 0
        text(this.did, upload.hashed < 1 && upload.moved === 0 ? 'Hashing' : upload.progress > 0.995 ? 'Finishing' : `${percent} %`)
        text(this.pace, perSecond === 0 ? '' : left > 1 ? `${speed(perSecond)}, ${duration(left)} left` : speed(perSecond))
    }

    private over() {
        const { upload } = this
        const seconds = ((upload.ended ?? 0) - upload.began) / 1000
        if (upload.state === 'done' && upload.root !== undefined) {
            text(this.did, 'Stored')
            text(this.pace, `${duration(seconds)}, ${speed(upload.picking.size / Math.max(seconds, 0.001))}`)
            say(`${upload.picking.name} is stored.`)
            const root = upload.root.toString()
            text(this.cid, root)
            this.cid.title = root
            const shared = { cid: upload.root, name: upload.picking.name, size: upload.picking.size }
            this.below.replaceChildren(this.cidLine, sharePanel(shared, this.around.page, this.around.publicReads()))
            this.around.done(upload)
            return
        }
        text(this.did, upload.state === 'cancelled' ? 'Cancelled' : 'Stopped')
        text(this.pace, upload.moved > 0 ? `${bytes(upload.moved)} are stored` : '')
        const again = () => {
            this.below.replaceChildren()
            void upload.run()
            this.update()
        }
        if (upload.state === 'cancelled') {
            this.below.replaceChildren(h('div', { class: 'row actions' }, h('button', { type: 'button', class: 'small', onclick: again }, 'Go on')))
            return
        }
        this.trouble.replaceChildren(
            notice(this.around.explain(upload.failure), {
                retry: again,
                token: () => void this.around.askForToken().then(changed => changed && again())
            })
        )
    }
}

/** An upload of earlier in this tab: its CID and its link. */
export function pastCard(shared: { cid: string; name: string; size: number; made: () => HTMLElement }, remove: () => void): HTMLElement {
    const share = h('button', { type: 'button', class: 'small', 'aria-expanded': 'false' }, 'Share')
    const card = h(
        'article',
        { class: 'sheet past' },
        h(
            'div',
            { class: 'head' },
            h('div', {}, h('h3', {}, shared.name), h('p', { class: 'numbers' }, bytes(shared.size)), h('p', {}, h('code', { title: shared.cid }, shortCid(shared.cid)))),
            h('div', { class: 'row' }, share, h('button', { type: 'button', class: 'small quiet', 'aria-label': `Remove ${shared.name} from this list`, onclick: () => { card.remove(); remove() } }, 'Remove'))
        )
    )
    let panel: HTMLElement | undefined
    share.addEventListener('click', () => {
        if (panel === undefined) card.append((panel = shared.made()))
        else {
            panel.remove()
            panel = undefined
        }
        share.setAttribute('aria-expanded', String(panel !== undefined))
    })
    return card
}
