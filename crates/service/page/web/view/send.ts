// The start of the page: a place to drop files, and what became of them.

import type { Profile } from '../dag/profile.ts'
import { fromInput, fromTransfer, type Picking } from '../files/dropped.ts'
import { h, s } from './dom.ts'

export class SendView {
    private readonly filesInput = h('input', { type: 'file', multiple: true, class: 'unseen', tabindex: -1, 'aria-hidden': 'true', id: 'files' })
    private readonly folderInput = h('input', { type: 'file', webkitdirectory: true, class: 'unseen', tabindex: -1, 'aria-hidden': 'true', id: 'folder' })
    private readonly profiles = h(
        'fieldset',
        { class: 'options' },
        h('legend', {}, 'CIDs as'),
        option('unixfs-v0-2015', 'Kubo’s default', true),
        option('unixfs-v1-2025', 'unixfs-v1-2025', false)
    )
    readonly transfers = h('div', { class: 'transfers' })
    readonly element: HTMLElement

    constructor(meter: HTMLElement, open: HTMLElement, picked: (picking: Picking, profile: Profile) => void) {
        const take = (picking: Picking | undefined) => {
            if (picking !== undefined) picked(picking, this.profile)
        }
        for (const input of [this.filesInput, this.folderInput])
            input.addEventListener('change', () => {
                if (input.files !== null) take(fromInput(input.files))
                // The same files may be chosen again.
                input.value = ''
            })
        const folders = 'webkitdirectory' in this.folderInput
        this.element = h(
            'section',
            {},
            h(
                'div',
                { class: 'lead' },
                h('h1', {}, 'Straight to the bucket'),
                h('p', {}, 'Your files are cut into blocks and hashed here, in your browser. The blocks go straight to S3; this server only signs.')
            ),
            h(
                'div',
                { class: 'drop' },
                art(),
                h(
                    'div',
                    { class: 'row' },
                    h('button', { type: 'button', class: 'main', onclick: () => this.filesInput.click() }, 'Choose files'),
                    folders && h('button', { type: 'button', onclick: () => this.folderInput.click() }, 'Choose a folder'),
                    this.filesInput,
                    this.folderInput
                ),
                h('p', {}, 'or drop them anywhere on this page, or paste'),
                this.profiles
            ),
            meter,
            this.transfers,
            open
        )
        this.listen(take)
    }

    private get profile(): Profile {
        return (this.profiles.querySelector('input:checked') as HTMLInputElement).value as Profile
    }

    private listen(take: (picking: Picking | undefined) => void) {
        const carriesFiles = (event: DragEvent) => event.dataTransfer?.types.includes('Files') && this.element.isConnected
        const over = (on: boolean) => document.body.classList.toggle('over', on)
        addEventListener('dragover', event => {
            if (!carriesFiles(event)) return
            event.preventDefault()
            over(true)
        })
        addEventListener('dragleave', event => {
            if (event.relatedTarget === null) over(false)
        })
        addEventListener('drop', event => {
            if (!carriesFiles(event) || event.dataTransfer === null) return
            event.preventDefault()
            over(false)
            void fromTransfer(event.dataTransfer).then(take)
        })
        addEventListener('paste', event => {
            if (!this.element.isConnected || event.clipboardData === null || event.clipboardData.files.length === 0) return
            event.preventDefault()
            void fromTransfer(event.clipboardData).then(take)
        })
    }
}

function option(value: Profile, words: string, checked: boolean): HTMLElement {
    return h('label', { class: 'choice' }, h('input', { type: 'radio', name: 'profile', value, checked }), words)
}

function art(): SVGElement {
    const block = (x: number, y: number, kind: string) => s('rect', { class: `block ${kind}`, x, y, width: 14, height: 14, rx: 3 })
    return s(
        'svg',
        { class: 'art', viewBox: '0 0 92 76', 'aria-hidden': 'true' },
        s('path', { class: 'pail', d: 'M6 30 h80 l-9 39 a6 6 0 0 1 -6 4.500 h-50 a6 6 0 0 1 -6 -4.500 z' }),
        block(30, 53, ''),
        block(48, 53, 'b'),
        block(21, 35, 'b'),
        block(39, 35, ''),
        block(57, 35, ''),
        block(40, 13, ''),
        block(62, 3, 'b'),
        block(17, 5, 'c')
    )
}
