// What a person does on the page, in a real browser, with a real service and a real S3 server.

import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { picture, privateDisk, withPage, withPrivateDisk, withoutPickers } from './browser.mjs'
import { S3, allow, cidbucket, clean, issue, makeKey, startService } from './service.mjs'

/** As `ipfs add -r` of Kubo 0.22 names the folder. */
const FOLDER_CID = 'QmWPQYUWF5XRKBhfL6uXmruFZZucK2vKFtcwBjsR8p9aD8'

let service, origins, work, folder, token, readToken

before(async () => {
    makeKey()
    token = issue('--sub', 'ada', '--ops', 'read,write')
    readToken = issue('--sub', 'bob', '--ops', 'read', '--expires', '1h')
    service = await startService()
    origins = [new URL(service.url).origin, S3]
    work = mkdtempSync(join(tmpdir(), 'cidbucket-files-'))
    folder = join(work, 'folder')
    write('folder/empty.txt', '')
    write('folder/hello.txt', 'hello world\n')
    write('folder/nested/data.bin', pattern(3 << 20))
    write('folder/nested/ünï çødé 文件.txt', 'grüße\n')
    write('folder/nested/deep/a b & c.txt', 'a\n')
})

after(async () => {
    await service?.stop()
    if (work) rmSync(work, { recursive: true, force: true })
    clean()
})

describe('sending and receiving', () => {
    let link

    test('a folder goes straight to S3 under the CID of Kubo, and is listed after a reload', async () => {
        await withPage(origins, async page => {
            await open(page)
            await page.waitForLoadState('networkidle')
            const before = await service.count(BYTES)
            await page.setInputFiles('#folder', folder)
            await stored(page, 'folder')
            const through = (await service.count(BYTES)) - before
            assert(through < 60_000, `${through} bytes went through the service for 3 MiB`)
            assert.equal(await page.locator('.cid code').first().textContent(), FOLDER_CID)
            await picture(page, 'sent')

            await page.getByText('20 blocks').click()
            const ways = await page.locator('.list .way').allTextContents()
            assert.equal(ways.length, 20)
            assert.equal(ways.filter(way => way === 'direct').length >= 15, true, ways.join())
            const read = page.locator('.list a').first()
            await read.waitFor()
            const answer = await fetch(await read.getAttribute('href'))
            assert.equal(answer.status, 200, 'the link of a block reads it at S3')

            link = await page.locator('.link').inputValue()
            assert(!link.includes(token) && !link.includes('token'), 'a share link has no token')
            await page.getByLabel('with read access').check()
            await page.getByLabel('Token to give away').fill(token)
            await page.getByText('may also write').waitFor()
            await page.getByLabel('Token to give away').fill(readToken)
            await page.getByText('Anyone with this link can read').waitFor()
            link = await page.locator('.link').inputValue()
            assert(link.includes(readToken) && link.startsWith(service.url))

            await page.reload()
            await page.getByRole('heading', { name: 'folder' }).waitFor()
            await page.getByRole('button', { name: 'Share', exact: true }).click()
            assert((await page.locator('.link').inputValue()).includes(FOLDER_CID))
        })
    })

    test('the share link opens in a fresh profile; the folder is saved to disk as it comes, byte by byte the same', async () => {
        await withPage(origins, async page => {
            await withPrivateDisk(page)
            await page.goto(link)
            await page.getByText('Ready', { exact: true }).waitFor()
            assert(!page.url().includes('token'), 'the token leaves the address at once')
            assert.equal(await page.locator('.files li').count(), 5)
            await page.getByRole('button', { name: 'Save all' }).click()
            await page.getByText('Saved, every block checked').waitFor()
            const expected = Object.fromEntries(tree(folder).map(path => [`folder/${path}`, digest(join(folder, path))]))
            assert.deepEqual(await privateDisk(page), expected)
            await picture(page, 'received')

            // The tab keeps the token, so the page may be loaded again.
            await page.reload()
            await page.getByText('Ready', { exact: true }).waitFor()
        })
    })

    test('where the browser cannot write to disk, a folder comes as an archive and a file as a download', async () => {
        await withPage(origins, async page => {
            await withoutPickers(page)
            await page.goto(link)
            await page.getByText('Ready', { exact: true }).waitFor()
            const archive = await downloaded(page, () => page.getByRole('button', { name: 'Save all' }).click())
            assert.equal(archive.name, 'folder.zip')
            const out = join(work, 'unpacked')
            execFileSync('python3', ['-m', 'zipfile', '-e', archive.path, out])
            assert.deepEqual(tree(join(out, 'folder')), tree(folder))
            for (const path of tree(folder)) assert.equal(digest(join(out, 'folder', path)), digest(join(folder, path)), path)

            await page.getByText('Saved, every block checked').waitFor()
            const file = await downloaded(page, () => page.getByRole('button', { name: 'Save data.bin' }).click())
            assert.equal(file.name, 'data.bin')
            assert.equal(digest(file.path), digest(join(folder, 'nested/data.bin')))
        })
    })

    test('a large file goes and comes, and nearly all of it past the service', async () => {
        const large = write('large.bin', pattern(40 << 20))
        await withPage(origins, async page => {
            await withPrivateDisk(page)
            await open(page)
            await page.waitForLoadState('networkidle')
            const before = await service.count(BYTES)
            await page.setInputFiles('#files', large)
            await stored(page, 'large.bin')
            const times = await page.locator('.times b').textContent()
            assert(Number(times.replace(/[×,]/g, '')) > 1000, `the meter says ${times}`)
            const cid = await page.locator('.cid code').textContent()
            await page.getByLabel('Got a CID?').fill(cid)
            await page.getByRole('button', { name: 'Open' }).click()
            await page.getByText('Ready', { exact: true }).waitFor()
            await page.getByRole('button', { name: 'Save', exact: true }).click()
            await page.getByText('Saved, every block checked').waitFor()
            assert.deepEqual(Object.values(await privateDisk(page)), [digest(large)])
            const through = (await service.count(BYTES)) - before
            assert((80 << 20) / through > 1000, `${through} bytes went through the service for 80 MiB`)
        })
    })

    test('a folder that is dropped and a picture that is pasted are sent', async () => {
        await withPage(origins, async (page, context) => {
            await open(page)
            const browser = await context.newCDPSession(page)
            const data = { items: [], files: [folder], dragOperationsMask: 1 }
            for (const type of ['dragEnter', 'dragOver', 'drop']) {
                await browser.send('Input.dispatchDragEvent', { type, x: 500, y: 400, data })
            }
            await stored(page, 'folder')
            assert.equal(await page.locator('.cid code').first().textContent(), FOLDER_CID)
            await page.evaluate(() => {
                const clipboardData = new DataTransfer()
                clipboardData.items.add(new File(['pasted\n'], 'pasted.txt', { type: 'text/plain' }))
                document.body.dispatchEvent(new ClipboardEvent('paste', { clipboardData, bubbles: true, cancelable: true }))
            })
            await stored(page, 'pasted.txt')
        })
    })

    test('where reads are public, a link opens without a token, straight from S3', async () => {
        cidbucket('doctor', '--fix-public-read', '--yes')
        const open = await startService('--public-reads')
        try {
            await withPage([new URL(open.url).origin, S3], async page => {
                await withPrivateDisk(page)
                await page.goto(`${open.url}#cid=${FOLDER_CID}&name=folder`)
                await page.getByText('Ready', { exact: true }).waitFor()
                await page.getByRole('button', { name: 'Save all' }).click()
                await page.getByText('Saved, every block checked').waitFor()
                await page.getByText('20 straight from S3, checked').waitFor()
                assert.equal(Object.keys(await privateDisk(page)).length, 5)
                assert.equal(await open.count(/^cidbucket_grants_total/), 0, 'nothing is signed')
            })
        } finally {
            await open.stop()
        }
    })

    test('what others send is looked at as text or a picture, and never run', async () => {
        const evil = '<script>window.pwned = 1</script><img src=x onerror="window.pwned = 2">'
        write('evil/page.html', evil)
        write('evil/picture.svg', `<svg xmlns="http://www.w3.org/2000/svg" onload="window.pwned = 3"/>`)
        write('evil/dot.gif', Buffer.from('R0lGODlhAQABAIAAAP8AAP///yH5BAAAAAAALAAAAAABAAEAAAICRAEAOw==', 'base64'))
        write(`evil/${'<img src=x onerror=alert(1)>'.replace('/', '')}.txt`, 'x')
        await withPage(origins, async page => {
            await open(page)
            await page.setInputFiles('#folder', join(work, 'evil'))
            await stored(page, 'evil')
            await page.goto(await page.locator('.link').inputValue())
            await page.getByText('Ready', { exact: true }).waitFor()
            await page.getByRole('button', { name: 'Look at page.html' }).click()
            assert.equal(await page.locator('.preview pre').first().textContent(), evil)
            await page.getByRole('button', { name: 'Look at picture.svg' }).click()
            await page.locator('.preview pre').nth(1).waitFor()
            await page.getByRole('button', { name: 'Look at dot.gif' }).click()
            await page.waitForFunction(() => document.querySelector('.preview img')?.naturalWidth === 1)
            assert.equal(await page.evaluate(() => window.pwned), undefined)
            assert.equal(await page.locator('.preview iframe, .preview object, .preview embed, .preview svg').count(), 0)
        })
    })
})

describe('when something is wrong', () => {
    test('no token, a wrong one and an expired one are told apart, and a good one goes on', async () => {
        const expired = issue('--expires', '1s')
        const { exp } = JSON.parse(Buffer.from(expired.split('.')[1], 'base64url'))
        while (Date.now() / 1000 < exp) await new Promise(resolve => setTimeout(resolve, 50))
        await withPage(origins, async page => {
            await page.goto(service.url)
            await page.setInputFiles('#files', join(folder, 'hello.txt'))
            await notice(page, 'no-token')

            for (const [other, kind] of [[`${token.slice(0, -4)}AAAA`, 'wrong-token'], [expired, 'expired']]) {
                await page.getByRole('button', { name: 'Enter a token' }).click()
                await page.getByRole('dialog').getByLabel('Token').fill(other)
                await page.getByRole('button', { name: 'Use it' }).click()
                await notice(page, kind)
                await picture(page, kind)
            }
            await page.getByRole('button', { name: 'Enter a token' }).click()
            await page.getByRole('dialog').getByLabel('Token').fill(token)
            await page.getByRole('button', { name: 'Use it' }).click()
            await stored(page, 'hello.txt')
        })
    })

    test('a token that may only read is told that it may not upload', async () => {
        await withPage(origins, async page => {
            await open(page, readToken)
            await page.setInputFiles('#files', join(folder, 'hello.txt'))
            await notice(page, 'denied')
        })
    })

    test('a quota that is used up is told', async () => {
        await withPage(origins, async page => {
            await open(page, issue('--max-bytes', '100KB'))
            await page.setInputFiles('#files', write('above-quota.bin', pattern((1 << 20) + 7)))
            await notice(page, 'quota')
            await picture(page, 'quota')
        })
    })

    test('offline is told, and it goes on afterwards', async () => {
        await withPage(origins, async (page, context) => {
            await open(page)
            await page.getByText('straight to S3').first().waitFor()
            await page.waitForLoadState('networkidle')
            await context.setOffline(true)
            await page.setInputFiles('#files', join(folder, 'hello.txt'))
            await notice(page, 'offline')
            await context.setOffline(false)
            await page.getByRole('button', { name: 'Try again' }).click()
            await stored(page, 'hello.txt')
        })
    })

    test('what keeps the page from S3 is told, and blocks go through the service', async () => {
        await withPage(origins, async (page, context) => {
            await context.route(`${S3}/**`, route => route.abort('blockedbyclient'))
            await open(page)
            await page.setInputFiles('#files', write('blocked.bin', pattern(600_001)))
            await notice(page, 'blocked')
            await stored(page, 'blocked.bin')
            await page.locator('.legend .proxied').filter({ hasText: 'through this server' }).waitFor()
        })
    })

    test('a share link of what is not there says so, and a broken one too', async () => {
        await withPage(origins, async page => {
            await page.goto(`${service.url}#cid=bafkreifzjut3te7nhyekklss27nh3k72ysco7y32koao5eei66wof36n5e&name=gone&token=${readToken}`)
            await notice(page, 'not-found')
            await page.goto('about:blank')
            await page.goto(`${service.url}#cid=bafnonsense`)
            await notice(page, 'broken-link')
        })
    })

    // Last, since it changes the bucket for all.
    test('missing CORS rules are told, with the command that sets them, which then does', async () => {
        allow('https://elsewhere.example')
        await withPage(origins, async page => {
            await open(page)
            await page.setInputFiles('#files', write('cors.bin', pattern(700_001)))
            await notice(page, 'cors')
            await page.getByText('cidbucket doctor --fix-cors').waitFor()
            await picture(page, 'cors')
            await stored(page, 'cors.bin')
        })
        allow(origins[0])
        await withPage(origins, async page => {
            await open(page)
            await page.setInputFiles('#files', write('cors-again.bin', pattern(800_001)))
            await stored(page, 'cors-again.bin')
            assert.equal(await page.locator('[data-kind=cors]').count(), 0)
            assert.equal(await page.locator('.legend .proxied:not([hidden])').filter({ hasNotText: /^1 / }).count(), 0)
        })
    })
})

describe('for everybody', () => {
    test('all of it by keyboard', async () => {
        await withPage(origins, async page => {
            // From now on, and not only once the key is pressed, dialogs are answered here.
            page.on('filechooser', () => {})
            await page.goto(service.url)
            await page.getByRole('button', { name: 'Enter token' }).waitFor()
            await tabTo(page, 'Enter token')
            await page.keyboard.press('Enter')
            await page.getByRole('dialog').waitFor()
            await page.keyboard.press('Escape')
            assert.equal(await focused(page), 'Enter token', 'the focus is back where it was')
            await page.keyboard.press('Enter')
            await page.keyboard.type(token)
            await page.keyboard.press('Enter')
            await page.getByRole('dialog').waitFor({ state: 'detached' })

            await tabTo(page, 'Choose files')
            const ring = await page.evaluate(() => getComputedStyle(document.activeElement).outlineWidth)
            assert.notEqual(ring, '0px', 'the focus is seen')
            const [chooser] = await Promise.all([page.waitForEvent('filechooser'), page.keyboard.press('Enter')])
            await chooser.setFiles(write('keys.txt', 'by keyboard\n'))
            await stored(page, 'keys.txt')
            assert.equal(await page.locator('#said').textContent(), 'keys.txt is stored.')
            await tabTo(page, 'Copy link')
            await tabTo(page, '1 block')
            await page.keyboard.press('Enter')
            await page.locator('.list li').waitFor()
            await page.locator('.list a').waitFor()
            await tabTo(page, 'Read')
            await tabTo(page, 'Got a CID?')
            await page.keyboard.type('bafkreifjjcie6lypi6ny7amxnfftagclbuxndqonfipmb64f2km2devei4')
            await page.keyboard.press('Enter')
            await page.getByText('Shared with you').waitFor()
        })
    })

    test('on a phone of 360 pixels nothing is cut off, in light and in dark', async () => {
        for (const colorScheme of ['light', 'dark']) {
            await withPage(
                origins,
                async page => {
                    await open(page)
                    await fits(page, 'start')
                    await page.setInputFiles('#folder', folder)
                    await stored(page, 'folder')
                    await page.getByText('20 blocks').click()
                    await page.locator('.list a').first().waitFor()
                    await page.getByLabel('with read access').check()
                    await fits(page, 'sent')
                    await picture(page, `phone-${colorScheme}`)
                    await page.goto(await page.locator('.link').inputValue())
                    await page.getByText('Ready', { exact: true }).waitFor()
                    await page.getByRole('button', { name: 'Look at hello.txt' }).click()
                    await page.locator('.preview pre').waitFor()
                    await fits(page, 'received')
                    await picture(page, `phone-received-${colorScheme}`)
                    await page.getByRole('button', { name: 'Token' }).click()
                    await fits(page, 'token')
                },
                { viewport: { width: 360, height: 740 }, isMobile: true, hasTouch: true, colorScheme }
            )
        }
    })

    test('the page asks nobody else, and says what it may run', async () => {
        const answer = await fetch(service.url)
        const policy = answer.headers.get('content-security-policy')
        assert(policy.includes("default-src 'none'") && policy.includes("script-src 'self'"), policy)
        assert(policy.includes(`connect-src 'self' ${S3}`), policy)
        assert(!policy.includes('unsafe'), policy)
        for (const file of ['', 'page.js', 'worker.js', 'style.css', 'icon.svg']) {
            const answer = await fetch(service.url + file)
            assert.equal(answer.status, 200, file)
            assert.equal(answer.headers.get('x-content-type-options'), 'nosniff')
            assert.equal((await fetch(service.url + file, { headers: { 'if-none-match': answer.headers.get('etag') } })).status, 304, file)
        }
    })
})

/** Bytes on the sockets of the service's clients, both ways, headers and all. */
const BYTES = /^cidbucket_bytes_total\{.*side="client"/

async function open(page, shown = token) {
    await page.goto(`${service.url}#token=${shown}`)
    await page.getByRole('button', { name: 'Token', exact: true }).waitFor()
    assert(!page.url().includes('token'), 'the token leaves the address at once')
}

async function stored(page, name) {
    const card = page.locator('.transfer').filter({ has: page.getByRole('heading', { name, exact: true }) })
    await card.and(page.locator('.done')).waitFor()
}

function notice(page, kind) {
    return page.locator(`[data-kind="${kind}"]`).waitFor()
}

async function downloaded(page, click) {
    const [download] = await Promise.all([page.waitForEvent('download'), click()])
    return { name: download.suggestedFilename(), path: await download.path() }
}

function focused(page) {
    return page.evaluate(() => {
        const { id, textContent } = document.activeElement
        return (id && document.querySelector(`label[for="${id}"]`)?.textContent) || textContent
    })
}

async function tabTo(page, name) {
    for (let i = 0; i < 60; i++) {
        await page.keyboard.press('Tab')
        if ((await focused(page)) === name) return
    }
    assert.fail(`${name} is not reached by Tab`)
}

async function fits(page, where) {
    const [wide, seen] = await page.evaluate(() => [document.documentElement.scrollWidth, innerWidth])
    assert(wide <= seen, `${where}: ${wide} pixels wide in ${seen}`)
}

/** Bytes that do not repeat. */
function pattern(length) {
    const words = new Uint32Array(Math.ceil(length / 4))
    for (let i = 0; i < words.length; i++) words[i] = Math.imul(i, 2654435761)
    return Buffer.from(words.buffer, 0, length)
}

function write(path, content) {
    const whole = join(work, path)
    mkdirSync(join(whole, '..'), { recursive: true })
    writeFileSync(whole, content)
    return whole
}

function tree(top) {
    return readdirSync(top, { recursive: true })
        .filter(path => statSync(join(top, path)).isFile())
        .map(path => relative(top, join(top, path)))
        .sort()
}

function digest(path) {
    return createHash('sha256').update(readFileSync(path)).digest('hex')
}
