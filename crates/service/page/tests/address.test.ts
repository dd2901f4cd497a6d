import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CID } from 'multiformats/cid'
import { plainName, readAddress, readTyped, shareLink, withoutToken } from '../web/address.ts'

const HERE = 'https://blocks.example'
const TEXT = 'QmWPQYUWF5XRKBhfL6uXmruFZZucK2vKFtcwBjsR8p9aD8'
const cid = CID.parse(TEXT)

test('a share link says what was shared, and no token', () => {
    const link = shareLink(`${HERE}/?x=1`, { cid, name: 'grüße & co.txt', size: 12 })
    assert(!link.includes('token') && !link.includes('+') && !link.includes('?'))
    const { shared, elsewhere, token } = readAddress(new URL(link).hash, HERE)
    assert.deepEqual([shared?.cid.toString(), shared?.name, shared?.size], [TEXT, 'grüße & co.txt', 12])
    assert.deepEqual([elsewhere, token], [undefined, undefined])
})

test('a token is in it only where it was put in', () => {
    const link = shareLink(HERE, { cid, name: 'x' }, 'a.b-c_d.e')
    assert.equal(readAddress(new URL(link).hash, HERE).token, 'a.b-c_d.e')
    const without = withoutToken(new URL(link).hash)
    assert(!without.includes('token') && !without.includes('a.b'))
    assert.equal(readAddress(without, HERE).shared?.name, 'x')
    assert.equal(withoutToken('#token=a.b.c'), '')
})

test('a link of another service says so', () => {
    const link = shareLink('https://other.example/', { cid, name: 'x' })
    assert.equal(readAddress(new URL(link).hash, HERE).elsewhere, 'https://other.example')
    for (const service of ['javascript:alert(1)', 'data:text/html,x', 'ftp://x', 'nonsense']) {
        assert.equal(readAddress(`#cid=${TEXT}&service=${encodeURIComponent(service)}`, HERE).elsewhere, undefined, service)
    }
})

test('a broken link is told apart from none', () => {
    assert.deepEqual(readAddress('', HERE), {})
    assert.deepEqual(readAddress('#', HERE), {})
    for (const broken of ['#cid=', '#cid=Qm', '#cid=<script>']) assert.deepEqual(readAddress(broken, HERE), { broken: true })
    for (const size of ['-1', 'x', '1e99', '']) assert.equal(readAddress(`#cid=${TEXT}&size=${size}`, HERE).shared?.size, size === '' ? 0 : undefined)
})

test('what people type is understood', () => {
    for (const typed of [TEXT, ` ${TEXT}\n`, `ipfs://${TEXT}`, `/ipfs/${TEXT}`, `https://ipfs.io/ipfs/${TEXT}/?x`, `${HERE}/#cid=${TEXT}`]) {
        const { shared, elsewhere } = readTyped(typed, HERE)
        assert.deepEqual([shared?.cid.toString(), elsewhere], [TEXT, undefined], typed)
    }
    assert.equal(readTyped(`https://other.example/#cid=${TEXT}`, HERE).elsewhere, 'https://other.example')
    for (const typed of ['', 'hello', 'https://example.com']) assert.equal(readTyped(typed, HERE).shared, undefined, typed)
})

test('names are no paths', () => {
    for (const [name, plain] of [
        ['a/b', 'a_b'],
        ['..', '__'],
        ['../../etc/passwd', '.._.._etc_passwd'],
        ['a\u202egpj.exe', 'a_gpj.exe'],
        ['a\u0000b', 'a_b'],
        ['grüße 文件.txt', 'grüße 文件.txt']
    ] as const)
        assert.equal(plainName(name), plain)
})
