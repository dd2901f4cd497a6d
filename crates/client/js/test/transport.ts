import { expect } from 'chai'
import { TransportError, type Call } from '../src/index.js'
import { Events } from '../src/events.js'
import { sendByFetch } from '../src/fetch.js'
import { RETRY } from '../src/retry.js'
import { S3, type S3Answer } from '../src/s3.js'
import { transport } from '../src/transport.js'
import { sendByXhr } from '../src/xhr.js'
import { access, inPage } from './access.js'

const { open, closed, gone } = access().peer

describe('transport', () => {
  for (const [name, send] of Object.entries(inPage ? { sendByFetch, sendByXhr } : { sendByFetch })) {
    describe(name, () => {
      const call = async (path: string, more: Partial<Call> = {}): ReturnType<typeof send> =>
        send({ method: 'PUT', url: open + path, headers: {}, body: new Uint8Array(), limit: 1 << 20, silence: 5000, ...more })
      const fails = async (kind: string, path: string, more: Partial<Call> = {}): Promise<void> => {
        const error: unknown = await call(path, more).catch((error: unknown) => error)
        expect(error).to.be.instanceOf(TransportError)
        expect(error).to.have.property('kind', kind)
      }

      it('sends method, headers and body, and reads the answer', async () => {
        const body = crypto.getRandomValues(new Uint8Array(50_000))
        let sent = 0
        const answer = await call('/echo', { headers: { 'x-amz-a': 'b', 'content-type': 'a/b' }, body, onSent: bytes => { sent = bytes } })
        expect(answer.status).to.equal(200)
        expect(answer.body).to.deep.equal(body)
        expect(sent).to.equal(50_000)
        const seen = JSON.parse(answer.header('x-seen') ?? '{}') as { method: string, headers: Record<string, string> }
        expect(seen.method).to.equal('PUT')
        expect(seen.headers).to.include({ 'x-amz-a': 'b', 'content-type': 'a/b', 'content-length': '50000' })
        expect(answer.header('x-none')).to.equal(null)
      })

      it('sends an empty body with its length', async () => {
        const answer = await call('/echo')
        const seen = JSON.parse(answer.header('x-seen') ?? '{}') as { headers: Record<string, string> }
        expect(seen.headers['content-length']).to.equal('0')
        expect(seen.headers['cookie']).to.equal(undefined)
        expect(seen.headers['referer']?.includes('?') ?? false).to.equal(false)
      })

      it('gives an answer that is no success as it is', async () => {
        const answer = await call('/denied')
        expect(answer.status).to.equal(403)
        expect(new TextDecoder().decode(answer.body)).to.include('AccessDenied')
      })

      it('stops at the limit', async () => fails('too-large', '/large', { limit: 1000 }))
      it('takes an answer at the limit', async () => { expect((await call('/large')).body).to.have.lengthOf(1 << 20) })
      it('does not follow a redirect', async () => fails('redirect', '/redirect'))
      it('gives up where nothing is heard', async () => fails('silence', '/silent', { silence: 100 }))
      it('gives up in the middle, too', async () => fails('silence', '/stalls', { silence: 100 }))
      it('takes no part for the whole', async () => fails('network', '/cut'))
      it('says that nobody is there', async () => fails('network', '/echo', { url: `${gone}/echo` }))

      it('ends when its caller gives up', async () => {
        for (const already of [true, false]) {
          const controller = new AbortController()
          already ? controller.abort(new Error('enough')) : setTimeout(() => { controller.abort(new Error('enough')) }, 50)
          const error: unknown = await call('/silent', { signal: controller.signal }).catch((error: unknown) => error)
          expect(error).to.equal(controller.signal.reason)
        }
      })
    })
  }

  it('reads what is there', async () => {
    const answer = await transport({ method: 'HEAD', url: `${open}/large`, headers: {}, limit: 10, silence: 5000 })
    expect(answer.body).to.have.lengthOf(0)
  })
})

describe('S3 that does not answer', () => {
  const send = async (origin: string, silence = 5000): Promise<S3Answer> => {
    const s3 = new S3({ transport, retry: { ...RETRY, base: 1 }, silence, events: new Events(), secure: false })
    return s3.send({ method: 'GET', url: `${origin}/large?X-Amz-Signature=0`, headers: {}, expires: null }, { limit: 1 << 21 })
  }

  it('is told apart from a bucket without CORS rules', async () => {
    const answers = await Promise.all([send(open), send(closed), send(gone)])
    const found = answers.map(answer => answer.kind === 'unreached' ? answer.problem.code : answer.kind)
    expect(found).to.deep.equal(['done', inPage ? 's3-cors' : 'done', 's3-unreachable'])
    expect(JSON.stringify(answers.map(answer => answer.kind === 'unreached' ? answer.problem.message : ''))).not.to.include('Signature')
  })
})
