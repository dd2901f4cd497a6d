// What went wrong, in words that say what to do about it.

import { Problem } from '@cidbucket/client'
import { duration } from './format.ts'
import { claimsOf } from './token.ts'

export interface Trouble {
    /** A stable word for it. */
    kind: string
    title: string
    text: string
    /** A command that mends it. */
    command?: string
    /** Whether trying again may help without anything being changed. */
    retry?: boolean
    /** Whether another token may help. */
    token?: boolean
    /** It goes on all the same. */
    mild?: boolean
}

/** What the page knows when something fails. */
export interface Circumstances {
    token: string | undefined
    /** Seconds since 1970. */
    now: number
    doing: 'send' | 'receive'
}

/** A file that is too large to be put together in memory. */
export class TooLargeForMemory extends Error {
    override name = 'TooLargeForMemory'
}

/** A file that could not be read from the disk. */
export class Unreadable extends Error {
    override name = 'Unreadable'
}

/** Explains an error. */
export function explain(error: unknown, { token, now, doing }: Circumstances): Trouble {
    if (error instanceof TooLargeForMemory)
        return {
            kind: 'memory',
            title: 'Too large for this browser',
            text: `${error.message} This browser can only save what fits into memory. One that writes to disk as it downloads, such as Chrome or Edge on a computer, has no such limit.`
        }
    if (error instanceof Unreadable)
        return {
            kind: 'unreadable',
            title: 'A file could not be read',
            text: `${error.message} It may have been moved, changed or locked since you chose it. Choose it again.`
        }
    if (error instanceof DOMException && error.name === 'QuotaExceededError')
        return { kind: 'disk', title: 'The disk is full', text: 'Make some room, then try again.', retry: true }
    if (error instanceof DOMException && error.name === 'NotAllowedError')
        return { kind: 'not-allowed', title: 'Not allowed to write there', text: 'The browser was not given leave to save at this place.', retry: true }
    if (error instanceof Error && error.name === 'NoFiles')
        return { kind: 'no-files', title: 'This is neither a file nor a folder', text: 'The CID names other data. Programs can read it, but there is nothing to save as a file.' }
    if (error instanceof Error && error.name === 'NotFoundError') return NOT_FOUND
    if (!(error instanceof Problem)) {
        const text = error instanceof Error ? error.message : String(error)
        return { kind: 'unexpected', title: 'That should not have happened', text, retry: true }
    }
    const wait = error.retryAfter === undefined ? '' : ` Try again in ${duration(error.retryAfter)}.`
    switch (error.code) {
        case 'unauthorised':
            return unauthorised(token, now)
        case 'denied':
            return {
                kind: 'denied',
                title: doing === 'send' ? 'This token may not upload' : 'This token may not read',
                text: `The service knows the token, but it does not allow this. ${sentence(error.message)}`,
                token: true
            }
        case 'quota':
            return {
                kind: 'quota',
                title: 'The quota is used up',
                text: `This upload would exceed what your token allows. ${sentence(error.message)}${wait}`,
                token: true,
                retry: error.retryAfter !== undefined
            }
        case 'rate':
            return { kind: 'rate', title: 'Too many requests', text: `The service asks to slow down.${wait}`, retry: true }
        case 'not-found':
            return NOT_FOUND
        case 'corrupt':
            return {
                kind: 'corrupt',
                title: 'Wrong bytes',
                text: 'What came is not what the CID names, so it was thrown away. The bucket may hold a damaged block.',
                retry: true
            }
        case 'too-large':
            return { kind: 'too-large', title: 'A block is too large', text: sentence(error.message) }
        case 'service-unreachable':
            return { kind: 'unreachable', title: 'The service does not answer', text: 'It may be restarting, or your connection may be down.', retry: true }
        case 's3-cors':
        case 's3-unreachable':
        case 's3-insecure':
        case 's3-refused':
        case 'offline':
            return obstacle(error, false)
        case 'insecure-context':
            return { kind: 'insecure', title: 'This page needs HTTPS', text: 'Browsers only hash on pages that came over HTTPS, or from this very computer.' }
        case 'unavailable':
            return { kind: 'unavailable', title: 'S3 does not answer', text: `The service cannot reach its bucket just now.${wait}`, retry: true }
        case 'incomplete':
            return { kind: 'incomplete', title: 'Some blocks did not arrive', text: 'The service looked for them in the bucket and did not find them.', retry: true }
        default:
            return { kind: error.code, title: 'That did not work', text: sentence(error.message), retry: true }
    }
}

const NOT_FOUND: Trouble = {
    kind: 'not-found',
    title: 'Not here',
    text: 'A block of this is not in the bucket, or your token does not cover it. The sender may have deleted it, or still be uploading.',
    retry: true,
    token: true
}

/** Explains why blocks do not go straight to S3. `mild` where they go through the service meanwhile. */
export function obstacle(problem: Problem, mild: boolean): Trouble {
    const meanwhile = mild ? ' Meanwhile, everything goes through this server.' : ''
    const more = { retry: !mild, mild }
    switch (problem.code) {
        case 's3-cors':
            return {
                kind: 'cors',
                title: 'The bucket does not let this page in',
                text: `S3 answers, but the bucket’s CORS rules do not name this page. Whoever runs the bucket can set them with the command below.${meanwhile}`,
                command: 'cidbucket doctor --fix-cors',
                ...more
            }
        case 's3-insecure':
            return { kind: 'insecure-s3', title: 'S3 is only reached by plain HTTP', text: `This page came over HTTPS, so the browser keeps it from there. The service needs an HTTPS endpoint.${meanwhile}`, ...more }
        case 's3-refused':
            return { kind: 's3-refused', title: 'S3 refused what was signed', text: `The clock of the server may be wrong, or its key may not be allowed to do this.${meanwhile}`, ...more }
        case 'offline':
            return { kind: 'offline', title: 'You are offline', text: 'What is done is done. Go on when you are connected again.', retry: true }
        default:
            return { kind: 'blocked', title: 'Something keeps this page from S3', text: `${sentence(problem.message)} An ad blocker, a company’s proxy or a wrong certificate may be the reason.${meanwhile}`, ...more }
    }
}

function unauthorised(token: string | undefined, now: number): Trouble {
    if (token === undefined)
        return { kind: 'no-token', title: 'A token is needed', text: 'Whoever runs this service can give you one.', token: true }
    const expires = claimsOf(token)?.expires
    if (expires !== undefined && expires <= now)
        return {
            kind: 'expired',
            title: 'Your token has expired',
            text: `It ended ${duration(now - expires)} ago. Ask for a new one.`,
            token: true
        }
    return {
        kind: 'wrong-token',
        title: 'The service does not know this token',
        text: 'It may be for another service, be cut short, or have been withdrawn.',
        token: true
    }
}

function sentence(text: string): string {
    const trimmed = text.trim()
    if (trimmed === '') return ''
    const whole = /[.!?]$/.test(trimmed) ? trimmed : `${trimmed}.`
    return whole[0]!.toUpperCase() + whole.slice(1)
}
