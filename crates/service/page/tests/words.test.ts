import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Problem } from '@cidbucket/client'
import { bytes, counted, duration, factor, shortCid } from '../web/format.ts'
import { claimsOf } from '../web/token.ts'
import { explain, obstacle, TooLargeForMemory, type Circumstances } from '../web/trouble.ts'

const token = (claims: object) => `e30.${Buffer.from(JSON.stringify(claims)).toString('base64url')}.sig`
const NOW = 1_800_000_000
const about: Circumstances = { token: token({ exp: NOW + 60 }), now: NOW, doing: 'send' }

test('numbers', () => {
    assert.deepEqual([0, 999, 1000, 12_345, 999_499, 999_600, 52_428_800, 2e15].map(bytes), ['0 B', '999 B', '1.00 KB', '12.3 KB', '999 KB', '1.00 MB', '52.4 MB', '2.00 PB'])
    assert.deepEqual([0, 3.14, 59, 150, 7200, 1e6].map(duration), ['0.1 s', '3.1 s', '59 s', '3 min', '2 h', '12 days'])
    assert.deepEqual([1.234, 42.4, 1834.2].map(factor), ['1.2', '42', '1,834'])
    assert.deepEqual([counted(1, 'file'), counted(2000, 'file')], ['1 file', '2,000 files'])
    assert.equal(shortCid('QmWPQYUWF5XRKBhfL6uXmruFZZucK2vKFtcwBjsR8p9aD8'), 'QmWPQYUWF5…sR8p9aD8')
})

test('every code of the protocol is explained', () => {
    for (const [code, kind] of [
        ['denied', 'denied'],
        ['quota', 'quota'],
        ['rate', 'rate'],
        ['not-found', 'not-found'],
        ['corrupt', 'corrupt'],
        ['too-large', 'too-large'],
        ['unavailable', 'unavailable'],
        ['incomplete', 'incomplete'],
        ['service-unreachable', 'unreachable'],
        ['s3-unreachable', 'blocked'],
        ['s3-insecure', 'insecure-s3'],
        ['s3-refused', 's3-refused'],
        ['insecure-context', 'insecure'],
        ['offline', 'offline']
    ] as const) {
        const trouble = explain(new Problem(code, 'for some reason'), about)
        assert.equal(trouble.kind, kind)
        assert(trouble.title.length > 3 && trouble.text.length > 10)
    }
    assert.match(explain(new Problem('quota', 'x', { retryAfter: 300 }), about).text, /Try again in 5 min/)
    assert.equal(explain(new TooLargeForMemory('It has 3 GB.'), about).kind, 'memory')
})

test('an expired token is told apart from a wrong one and from none', () => {
    const kind = (token: string | undefined) => explain(new Problem('unauthorised', ''), { ...about, token }).kind
    assert.equal(kind(undefined), 'no-token')
    assert.equal(kind(token({ exp: NOW - 300 })), 'expired')
    assert.equal(kind(token({ exp: NOW + 300 })), 'wrong-token')
    assert.equal(kind('opaque'), 'wrong-token')
})

test('missing CORS rules come with the command that sets them', () => {
    const cors = new Problem('s3-cors', 'x')
    assert.equal(obstacle(cors, true).command, 'cidbucket doctor --fix-cors')
    assert.equal(obstacle(cors, true).retry, false)
    assert.equal(explain(cors, about).retry, true)
})

test('claims are read, never trusted', () => {
    assert.deepEqual(claimsOf(token({ sub: 'ada', exp: 5, cap: { ops: ['read', 7] } })), { subject: 'ada', expires: 5, operations: ['read'] })
    for (const odd of ['', 'a', 'a.b', 'a.!.c', `a.${btoa('7')}.c`, `a.${btoa('null')}.c`]) assert.equal(claimsOf(odd)?.operations, undefined)
    assert.deepEqual(claimsOf(token({ exp: 'soon', cap: null })), {})
})
