// What a share link opens: the files it names, to be looked at and saved.

import type { Shared } from '../address.ts'
import { LEAF } from '../dag/profile.ts'
import type { FoundFile } from '../dag/reading.ts'
import { placeForFile, placeForFolder, type Place } from '../files/saving.ts'
import { bytes, counted, duration, speed } from '../format.ts'
import { Download } from '../transfer/download.ts'
import { BlockList } from './blocks.ts'
import { copyButton, eachFrame, h, say, text } from './dom.ts'
import { Legend } from './legend.ts'
import { Mosaic } from './mosaic.ts'
import { notice } from './notice.ts'
import { lookOf, showPreview } from './preview.ts'
import type { Surroundings } from './upload-card.ts'

/** Files listed before more are asked for. */
const PAGE = 200

export class ReceiveView {
    private readonly download: Download
    private readonly about = h('p', { class: 'numbers soft' })
    private readonly bar = h('div', { class: 'bar', role: 'progressbar', 'aria-valuemin': 0, 'aria-valuemax': 100, 'aria-label': 'Download' }, h('i'), h('i'))
    private readonly did = h('b')
    private readonly pace = h('span')
    private readonly mosaic = new Mosaic()
    private readonly legend = new Legend(true)
    private readonly trouble = h('div')
    private readonly save = h('button', { type: 'button', class: 'main', disabled: true }, 'Save')
    private readonly cancel = h('button', { type: 'button', hidden: true }, 'Cancel')
    private readonly files = h('ul', { class: 'list files', 'aria-label': 'Files' })
    private readonly more = h('button', { type: 'button', class: 'small', hidden: true }, 'Show more')
    private readonly blocks: BlockList
    private readonly sheet: HTMLElement
    readonly element: HTMLElement
    readonly update = eachFrame(() => this.draw())
    private last: Download['state'] | undefined

    constructor(
        private readonly shared: Shared,
        private readonly around: Surroundings
    ) {
        this.download = new Download(shared, around.service)
        this.blocks = new BlockList(this.download.rows, around.service)
        const cid = shared.cid.toString()
        this.save.addEventListener('click', () => void this.saveAll())
        this.cancel.addEventListener('click', () => this.download.cancel())
        this.more.addEventListener('click', () => this.list())
        this.sheet = h(
            'article',
            { class: 'sheet' },
            h('div', { class: 'head' }, h('div', {}, this.about, h('div', { class: 'cid' }, h('code', { title: cid }, cid), copyButton('Copy', () => cid, 'small quiet', 'Copy the CID'))), h('div', { class: 'row' }, this.cancel, this.save)),
            this.bar,
            h('p', { class: 'state' }, this.did, this.pace),
            this.mosaic.element,
            this.legend.element,
            this.trouble,
            h('div', { class: 'panel' }, this.files, this.more),
            this.blocks.element
        )
        this.element = h('section', { class: 'receive' }, h('p', { class: 'from' }, 'Shared with you'), h('h1', {}, shared.name), this.sheet)
        this.download.changed = this.update
        this.mosaic.watch(this.update)
    }

    /** Looks for the files. */
    async open(): Promise<void> {
        this.trouble.replaceChildren()
        this.update()
        await this.download.find()
        if (this.download.found !== undefined) {
            this.files.replaceChildren()
            this.list()
            say(`${this.shared.name}: ${this.summary()}`)
        }
    }

    get saving(): boolean {
        return this.download.state === 'saving'
    }

    /** Ends what is under way. */
    close(): void {
        this.download.cancel()
    }

    private summary(): string {
        const { found } = this.download
        if (found === undefined) {
            const size = this.shared.size === undefined ? '' : bytes(this.shared.size)
            return this.download.seen > 1 ? `${counted(this.download.seen, 'file')} so far` : size
        }
        return found.folder ? `${counted(found.files.length, 'file')}, ${bytes(found.size)}` : bytes(found.size)
    }

    private draw() {
        const { download } = this
        const { state, found } = download
        text(this.about, this.summary() || '\u00a0')
        const busy = state === 'finding' || state === 'saving'
        this.save.disabled = busy || found === undefined
        this.save.textContent = found?.folder ? 'Save all' : 'Save'
        this.cancel.hidden = state !== 'saving'
        const percent = Math.floor(download.progress * 100)
        const bar = this.bar.lastElementChild as HTMLElement
        bar.style.transform = `scaleX(${download.progress})`
        this.bar.setAttribute('aria-valuenow', String(percent))
        this.sheet.classList.toggle('done', state === 'done')
        this.sheet.classList.toggle('failed', state === 'failed')
        const leaf = LEAF[this.shared.cid.version === 0 ? 'unixfs-v0-2015' : 'unixfs-v1-2025']
        const expected = Math.ceil((found?.size ?? this.shared.size ?? 0) / leaf)
        this.mosaic.draw(download.rows.list, state === 'done' ? 0 : expected)
        this.legend.update(download.rows)
        this.blocks.update()
        if (state === 'saving') {
            const { perSecond } = download
            const left = perSecond > 0 ? (download.saving - download.saved) / perSecond : 0
            text(this.did, `${percent} %`)
            text(this.pace, perSecond === 0 ? '' : left > 1 ? `${speed(perSecond)}, ${duration(left)} left` : speed(perSecond))
        }
        if (state !== this.last) {
            this.last = state
            this.turned()
        }
    }

    private turned() {
        const { download } = this
        switch (download.state) {
            case 'finding':
                text(this.did, 'Looking')
                text(this.pace, '')
                break
            case 'ready':
                text(this.did, 'Ready')
                text(this.pace, '')
                break
            case 'saving':
                this.trouble.replaceChildren()
                break
            case 'done': {
                const seconds = ((download.ended ?? 0) - download.began) / 1000
                text(this.did, 'Saved, every block checked')
                text(this.pace, `${duration(seconds)}, ${speed(download.saving / Math.max(seconds, 0.001))}`)
                say('Saved. Every block was checked.')
                break
            }
            case 'failed':
                text(this.did, 'Stopped')
                text(this.pace, '')
                this.fail(download.failure, this.again)
        }
    }

    private again: () => void = () => void this.open()

    private fail(error: unknown, retry: () => void) {
        const trouble = this.around.explain(error)
        this.trouble.replaceChildren(
            notice(trouble, {
                ...(trouble.retry ? { retry } : {}),
                token: () => void this.around.askForToken().then(changed => changed && retry())
            })
        )
    }

    private async saveAll() {
        const { found } = this.download
        if (found === undefined) return
        const [only] = found.files
        await this.saveTo(
            () => (found.folder ? placeForFolder(this.shared.name, found.size, found.files.length) : placeForFile(this.shared.name, found.size)),
            found.folder ? found.files : only === undefined ? [] : [only],
            found.emptyFolders
        )
    }

    private async saveTo(choose: () => Promise<Place | undefined>, files: FoundFile[], emptyFolders: string[][]) {
        if (this.download.state === 'saving') return
        try {
            const place = await choose()
            if (place === undefined) return
            this.again = () => {
                this.trouble.replaceChildren()
                void this.download.save(place, files, emptyFolders)
                this.update()
            }
            this.again()
        } catch (error) {
            this.fail(error, () => void this.saveTo(choose, files, emptyFolders))
        }
    }

    private list() {
        const found = this.download.found
        if (found === undefined) return
        const shown = this.files.childElementCount
        for (const file of found.files.slice(shown, shown + PAGE)) this.files.append(this.line(file, found.folder))
        this.more.hidden = this.files.childElementCount >= found.files.length
        if (found.files.length === 0) this.files.replaceChildren(h('li', {}, h('span', { class: 'soft' }, 'The folder is empty.')))
    }

    private line(file: FoundFile, inFolder: boolean): HTMLElement {
        const name = file.path.at(-1) ?? this.shared.name
        const above = file.path.slice(0, -1).map(part => `${part}/`).join('')
        const look = lookOf(name, file.size)
        const item = h('li', {})
        item.append(
            h('span', { class: 'path' }, above !== '' && h('span', {}, above), name),
            h('span', { class: 'size' }, bytes(file.size)),
            h(
                'span',
                { class: 'row' },
                look && this.previewButton(item, file, name, look),
                inFolder && h('button', { type: 'button', class: 'small', 'aria-label': `Save ${name}`, onclick: () => void this.saveTo(() => placeForFile(name, file.size), [file], []) }, 'Save')
            )
        )
        return item
    }

    private previewButton(item: HTMLElement, file: FoundFile, name: string, look: NonNullable<ReturnType<typeof lookOf>>): HTMLElement {
        let close: (() => void) | undefined
        const button = h('button', { type: 'button', class: 'small', 'aria-expanded': 'false', 'aria-label': `Look at ${name}` }, 'Look')
        button.addEventListener('click', () => {
            if (close !== undefined) {
                close()
                return
            }
            const stop = new AbortController()
            const into = h('div', { class: 'preview' }, h('p', {}, 'Loading…'))
            let away = () => {}
            item.append(into)
            button.setAttribute('aria-expanded', 'true')
            text(button, 'Close')
            close = () => {
                stop.abort()
                away()
                into.remove()
                close = undefined
                button.setAttribute('aria-expanded', 'false')
                text(button, 'Look')
            }
            showPreview(into, this.download, file, look, stop.signal).then(
                remove => {
                    if (stop.signal.aborted) remove()
                    else away = remove
                },
                error => {
                    if (stop.signal.aborted) return
                    this.fail(error, () => button.click())
                    close?.()
                }
            )
        })
        return button
    }
}
