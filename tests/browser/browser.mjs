// A real Chromium with a profile of its own.

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { chromium } from 'playwright-core'

const { CHROMIUM = '/usr/bin/chromium', SCREENSHOTS } = process.env
const ARGS = ['--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking', '--disable-component-update', '--disable-sync']
if (SCREENSHOTS) mkdirSync(SCREENSHOTS, { recursive: true })

/**
 * Runs `work` with a page of a fresh profile. It fails where a script of the page does, where the page's
 * policy is violated, or where the page asks another origin than `origins` for anything.
 */
export async function withPage(origins, work, options = {}) {
    const profile = mkdtempSync(join(tmpdir(), 'cidbucket-chromium-'))
    const context = await chromium.launchPersistentContext(profile, {
        executablePath: CHROMIUM,
        args: ARGS,
        acceptDownloads: true,
        viewport: { width: 1000, height: 900 },
        reducedMotion: 'reduce',
        ...options
    })
    const wrong = []
    try {
        await context.addInitScript(() => {
            addEventListener('securitypolicyviolation', event => console.error(`policy: ${event.violatedDirective} ${event.blockedURI}`))
        })
        const page = context.pages()[0]
        page.setDefaultTimeout(30_000)
        page.on('pageerror', error => wrong.push(String(error)))
        page.on('console', message => message.type() === 'error' && message.text().startsWith('policy:') && wrong.push(message.text()))
        context.on('request', request => {
            const { origin, protocol } = new URL(request.url())
            if (protocol.startsWith('http') && !origins.includes(origin)) wrong.push(`asked ${origin}`)
        })
        await work(page, context)
    } finally {
        await context.close()
        rmSync(profile, { recursive: true, force: true })
    }
    if (wrong.length > 0) throw new Error(wrong.join('\n'))
}

/** Keeps a picture, where they are wanted. */
export async function picture(page, name) {
    if (SCREENSHOTS) await page.screenshot({ path: join(SCREENSHOTS, `${name}.png`), fullPage: true })
}

/** Without the pickers of Chromium, as in other browsers: files come as downloads. */
export function withoutPickers(page) {
    return page.addInitScript(() => {
        delete window.showSaveFilePicker
        delete window.showDirectoryPicker
    })
}

/** Folders and files are saved to the page's private disk, where a test can read them: a headless browser has no dialogs. */
export function withPrivateDisk(page) {
    return page.addInitScript(() => {
        window.showDirectoryPicker = () => navigator.storage.getDirectory()
        window.showSaveFilePicker = async ({ suggestedName }) => (await navigator.storage.getDirectory()).getFileHandle(suggestedName, { create: true })
    })
}

/** What lies on the page's private disk: SHA-256 by path. */
export function privateDisk(page) {
    return page.evaluate(async () => {
        const found = {}
        async function walk(folder, path) {
            for await (const [name, handle] of folder.entries()) {
                if (handle.kind === 'directory') await walk(handle, `${path}${name}/`)
                else {
                    const digest = await crypto.subtle.digest('SHA-256', await (await handle.getFile()).arrayBuffer())
                    found[path + name] = [...new Uint8Array(digest)].map(byte => byte.toString(16).padStart(2, '0')).join('')
                }
            }
        }
        await walk(await navigator.storage.getDirectory(), '')
        return found
    })
}
