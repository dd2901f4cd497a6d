// The page: reads its address, and shows what it asks for.

import { Problem, type Info } from '@cidbucket/client'
import { CID } from 'multiformats/cid'
import { readAddress, readTyped, shareLink, withoutToken, type Address, type Shared } from './address.ts'
import type { Profile } from './dag/profile.ts'
import type { Picking } from './files/dropped.ts'
import { connect } from './connect.ts'
import { bytesOf, type Bytes } from './traffic.ts'
import { forgetTokens, keepToken, keptToken } from './token.ts'
import { readyWorker, Upload } from './transfer/upload.ts'
import { explain, obstacle, type Trouble } from './trouble.ts'
import { eachFrame, h, say, text } from './view/dom.ts'
import { MeterView } from './view/meter.ts'
import { notice } from './view/notice.ts'
import { ReceiveView } from './view/receive.ts'
import { SendView } from './view/send.ts'
import { sharePanel } from './view/share.ts'
import { askForToken } from './view/token-dialog.ts'
import { pastCard, UploadCard, type Surroundings } from './view/upload-card.ts'

const WRITES = { direct: ['good', 'straight to S3'], proxied: ['middling', 'through this server'], none: ['middling', 'read only'] } as const
const HISTORY = 'cidbucket.uploads'
const base = new URL('.', location.href.replace(/#.*$/, '')).href
const main = document.getElementById('main') as HTMLElement
const foot = document.getElementById('foot') as HTMLElement

const meterView = new MeterView()
const dot = h('span', { class: 'dot' })
const statusWords = h('span', { class: 'words' })
const tokenButton = h('button', { type: 'button', class: 'small', onclick: () => void changeToken() }, 'Token')
document.getElementById('service')?.append(dot, statusWords, tokenButton)
const notices = h('div', { class: 'notices' })

let address: Address = {}
let info: Info | undefined
let infoFailure: unknown
let receiving: ReceiveView | undefined
let running = 0

const token = () => keptToken(address.shared?.cid.toString())
let moved: Bytes = { service: 0, s3: 0 }
const service = connect(base, token, {
    traffic(traffic) {
        moved = bytesOf(traffic)
        drawMeter()
    },
    fallback,
    reached: () => detour?.remove()
})

const around: Surroundings = {
    service,
    page: base,
    publicReads: () => info?.reads === 'public',
    explain: explained,
    askForToken: changeToken,
    done: remember
}

const opening = openForm()
const send = new SendView(meterView.element, opening, startUpload)

// Beginning ---------------------------------------------------------------------------------------

function route() {
    address = readAddress(location.hash, location.origin)
    if (address.token !== undefined) {
        keepToken(address.token, address.shared?.cid.toString())
        history.replaceState(null, '', location.pathname + location.search + withoutToken(location.hash))
    }
    receiving?.close()
    receiving = undefined
    notices.replaceChildren()
    if (address.elsewhere !== undefined && address.shared !== undefined) {
        main.replaceChildren(notices, elsewhere(address.shared, address.elsewhere))
    } else if (address.shared !== undefined) {
        receiving = new ReceiveView(address.shared, around)
        main.replaceChildren(notices, receiving.element, meterView.element, h('p', { class: 'open' }, h('a', { href: '#' }, 'Send something yourself')))
        document.title = `${address.shared.name} · cidbucket`
        void receiving.open()
    } else {
        main.replaceChildren(notices, send.element)
        readyWorker()
        document.title = 'cidbucket'
        if (address.broken) notices.append(notice({ kind: 'broken-link', title: 'This link is broken', text: 'What it names is no CID. Perhaps it was cut short on its way.' }))
    }
    showStatus()
}

async function learn() {
    infoFailure = undefined
    try {
        info = await service.info()
    } catch (error) {
        infoFailure = error
        const trouble = explained(error)
        notices.append(notice(trouble, { retry: () => { notices.replaceChildren(); void learn() } }))
    }
    showStatus()
}

function showStatus() {
    const [mark, words] = infoFailure !== undefined ? ['bad', 'no answer'] : info === undefined ? ['', 'connecting'] : WRITES[info.writes]
    const has = token() !== undefined
    dot.className = `dot ${mark}`
    text(statusWords, words)
    text(tokenButton, has ? 'Token' : 'Enter token')
    tokenButton.classList.toggle('main', info !== undefined && !has)
    foot.replaceChildren(
        h('span', {}, info === undefined ? 'cidbucket' : info.server.replace('/', ' ')),
        h('span', {}, 'Every block is checked against its hash.')
    )
}

// Sending -----------------------------------------------------------------------------------------

function startUpload(picking: Picking, profile: Profile) {
    if (globalThis.crypto?.subtle === undefined) {
        notices.append(notice(explained(new Problem('insecure-context', ''))))
        return
    }
    const upload = new Upload(picking, profile, service)
    const card = new UploadCard(upload, around)
    send.transfers.prepend(card.element)
    running += 1
    say(`Uploading ${picking.name}`)
    void upload.run().finally(() => (running -= 1))
    card.element.scrollIntoView({ block: 'nearest' })
}

addEventListener('beforeunload', event => {
    if (running > 0 || receiving?.saving) event.preventDefault()
})

function remember({ root, picking }: Upload) {
    if (root === undefined) return
    const past = remembered().filter(({ cid }) => cid !== root.toString())
    past.unshift({ cid: root.toString(), name: picking.name, size: picking.size })
    sessionStorage.setItem(HISTORY, JSON.stringify(past.slice(0, 20)))
}

interface Past {
    cid: string
    name: string
    size: number
}

function remembered(): Past[] {
    try {
        return JSON.parse(sessionStorage.getItem(HISTORY) ?? '[]') as Past[]
    } catch {
        return []
    }
}

function showPast() {
    for (const past of remembered()) {
        const made = () => sharePanel({ cid: CID.parse(past.cid), name: past.name, size: past.size }, base, around.publicReads())
        send.transfers.append(
            pastCard({ ...past, made }, () => sessionStorage.setItem(HISTORY, JSON.stringify(remembered().filter(({ cid }) => cid !== past.cid))))
        )
    }
}

// Receiving ---------------------------------------------------------------------------------------

function openForm(): HTMLElement {
    const field = h('input', { type: 'text', id: 'open', placeholder: 'CID or share link', autocomplete: 'off', spellcheck: 'false', autocapitalize: 'off' })
    const form = h('form', { class: 'open' }, h('label', { for: 'open' }, 'Got a CID?'), h('div', { class: 'field' }, field, h('button', { type: 'submit' }, 'Open')))
    field.addEventListener('input', () => field.setCustomValidity(''))
    form.addEventListener('submit', event => {
        event.preventDefault()
        const typed = readTyped(field.value, location.origin)
        if (typed.shared === undefined) {
            field.setCustomValidity('This is neither a CID nor a share link.')
            field.reportValidity()
            return
        }
        const there = typed.elsewhere ?? base
        field.value = ''
        location.href = typed.elsewhere === undefined ? shareLink(base, typed.shared, typed.token) : shareLink(there, typed.shared)
    })
    return form
}

function elsewhere(shared: Shared, origin: string): HTMLElement {
    return h(
        'section',
        { class: 'receive' },
        h('p', { class: 'from' }, 'Shared with you'),
        h('h1', {}, shared.name),
        h('div', { class: 'sheet' }, h('p', {}, `This lies at another service, ${origin}.`), h('div', { class: 'row actions' }, h('a', { class: 'button', href: shareLink(origin, shared) }, 'Open it there')))
    )
}

// Trouble -----------------------------------------------------------------------------------------

async function changeToken(): Promise<boolean> {
    const answer = await askForToken(token())
    if (answer === undefined) return false
    if (answer === '') forgetTokens()
    else {
        forgetTokens()
        keepToken(answer)
    }
    showStatus()
    return answer !== ''
}

function explained(error: unknown): Trouble {
    return explain(error, { token: token(), now: Date.now() / 1000, doing: receiving === undefined ? 'send' : 'receive' })
}

/** Blocks go through the service: said once, and taken back when S3 is reached again. */
function fallback(problem: Problem) {
    detour?.remove()
    const element = notice(obstacle(problem, true), { dismiss: () => element.remove() })
    detour = element
    notices.append(element)
}

let detour: HTMLElement | undefined

// The meter ---------------------------------------------------------------------------------------

const drawMeter = eachFrame(() => {
    if (meterView.update(moved)) drawMeter()
})

addEventListener('hashchange', route)
route()
void learn()
showPast()
