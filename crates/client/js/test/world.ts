import * as dagCbor from '@ipld/dag-cbor'
import { base32 } from 'multiformats/bases/base32'
import { CID } from 'multiformats/cid'
import * as raw from 'multiformats/codecs/raw'
import * as Digest from 'multiformats/hashes/digest'
import { sha256 } from 'multiformats/hashes/sha2'
import { DirectClient, TransportError, type Answer, type Call, type DirectOptions } from '../src/index.js'
import { layout } from '../src/layout.js'
import { readBase64url } from '../src/text.js'

export const SERVICE = 'http://service.test'
export const TOKEN = 'canary.of.the.token'
const S3 = 'http://s3.test'
const STAGING = 'staging'
const QUERY = 'X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-SignedHeaders=host'

/** A request, as the world saw it. */
export interface Seen {
  side: 'service' | 's3'
  /** Such as `POST /v1/reads`; for S3 the method alone. */
  what: string
  call: Call
}

interface Asked { cid: string | CID, size: number, sha256?: string | Uint8Array }

/**
 * A service and its S3, in memory, as a transport. It grants and checks as the real ones do; what
 * goes wrong is decided by `intercept`.
 */
export class World {
  readonly seen: Seen[] = []
  /** What lies at S3, by key. */
  readonly objects = new Map<string, Uint8Array>()
  readonly leases = new Map<string, Asked[]>()
  readonly completed: string[] = []
  info: Record<string, unknown> = {
    version: 1,
    server: 'world/1',
    reads: 'authorised',
    writes: 'direct',
    seal: 'checksum',
    layout: 'kubo',
    limits: { max_block: 1 << 20, max_blocks: 65_536, max_body: 8 << 20, read_expires: 600, write_expires: 900 }
  }

  /** Blocks told to be stored. */
  stored: (cid: CID) => boolean = () => false
  /** Blocks to go through the service. */
  proxied: (cid: CID) => boolean = () => false
  base = `${S3}/bucket/`
  /** How many milliseconds every request takes. */
  latency = 0
  /** Answers in the world's place, or throws; `undefined` leaves it to the world. */
  intercept: (seen: Seen) => Promise<Answer | undefined> | Answer | undefined = () => undefined

  client (options: Partial<DirectOptions> = {}): DirectClient {
    return new DirectClient({
      url: SERVICE,
      token: TOKEN,
      smallBlock: 0,
      retry: { base: 1 },
      transport: async call => this.#send(call),
      ...options
    })
  }

  /** How often this was asked. */
  count (what: string): number {
    return this.seen.filter(seen => `${seen.side} ${seen.what}`.startsWith(what)).length
  }

  /** Puts a block where the service would. */
  place (cid: CID, bytes: Uint8Array): void {
    this.objects.set(key(cid), bytes)
  }

  has (cid: CID): boolean {
    return this.objects.has(key(cid))
  }

  async #send (call: Call): Promise<Answer> {
    const url = new URL(call.url)
    const side = url.origin === new URL(this.base).origin ? 's3' : 'service'
    const seen: Seen = { side, what: side === 's3' ? call.method : `${call.method} ${url.pathname}`, call }
    this.seen.push(seen)
    await new Promise<void>(resolve => { this.latency === 0 ? resolve() : setTimeout(resolve, this.latency) })
    call.signal?.throwIfAborted()
    const answer = await this.intercept(seen) ?? (side === 's3' ? await this.#s3(call, url) : await this.#service(call, url))
    call.signal?.throwIfAborted()
    call.onSent?.(call.body?.length ?? 0)
    return answer
  }

  async #s3 (call: Call, url: URL): Promise<Answer> {
    const path = url.href.slice(this.base.length).split('?')[0] ?? ''
    const name = decodeURIComponent(path)
    const isPlain = this.info['reads'] === 'public' && call.method !== 'PUT'
    if (!isPlain && url.searchParams.get('X-Amz-Signature') !== hexOf(sign(call.method, name, Number(call.body?.length ?? 0)))) {
      return xml(403, 'SignatureDoesNotMatch')
    }
    if (call.method === 'PUT') {
      const bytes = call.body ?? new Uint8Array()
      const digest = btoa(String.fromCharCode(...(await sha256.digest(bytes)).digest))
      if (call.headers['x-amz-checksum-sha256'] !== digest) {
        return xml(400, 'BadDigest')
      }
      this.objects.set(name, bytes)
      return answer(200)
    }
    const object = this.objects.get(name)
    if (call.method === 'HEAD') {
      return answer(object === undefined ? 404 : 200)
    }
    return object === undefined ? xml(404, 'NoSuchKey') : answer(200, object)
  }

  async #service (call: Call, url: URL): Promise<Answer> {
    if (url.pathname === '/v1/info') {
      return json(this.info)
    }
    if (call.headers['authorization'] !== `Bearer ${TOKEN}`) {
      return problem(401, { code: 'unauthorised', message: 'no token' })
    }
    const cbor = call.headers['accept'] === 'application/vnd.ipld.dag-cbor'
    const body = (value: unknown): Answer => cbor
      ? answer(200, dagCbor.encode(value), 'application/vnd.ipld.dag-cbor')
      : json(value)
    const asked = (): unknown => call.headers['content-type'] === 'application/json'
      ? JSON.parse(new TextDecoder().decode(call.body))
      : dagCbor.decode(call.body ?? new Uint8Array())
    const parts = url.pathname.split('/').slice(2)
    switch (`${call.method} ${parts[0]}${parts.length > 1 ? '/' : ''}`) {
      case 'POST reads': {
        const { cids, method = 'GET' } = asked() as { cids: Array<string | CID>, method?: 'GET' | 'HEAD' }
        return body(this.#batch(method, cids.map(cid => sign(method, key(cidOf(cid)), 0)), cbor))
      }
      case 'POST writes': return body(this.#writes((asked() as { blocks: Asked[] }).blocks, cbor))
      case 'POST writes/': return this.#complete(parts[1] ?? '', body)
      case 'GET blocks': {
        const names = [...this.objects.keys()].filter(name => !name.startsWith(STAGING)).sort()
        const from = Number(url.searchParams.get('cursor') ?? 0)
        const listed = names.slice(from, from + 10).map(name => {
          const cid = CID.createV1(raw.code, Digest.decode(base32.baseDecode(name.toLowerCase())))
          return { cid: cbor ? cid : cid.toString(), size: this.objects.get(name)?.length ?? 0 }
        })
        return body({ blocks: listed, foreign: 0, ...(from + 10 < names.length ? { cursor: String(from + 10) } : {}) })
      }
      case 'GET blocks/': {
        const object = this.objects.get(key(CID.parse(parts[1] ?? '')))
        return object === undefined ? problem(404, { code: 'not-found', message: 'no such block' }) : answer(200, object)
      }
      case 'HEAD blocks/':
        return this.objects.has(key(CID.parse(parts[1] ?? ''))) ? answer(200) : answer(404, undefined, 'application/json')
      case 'PUT blocks/':
        this.place(CID.parse(parts[1] ?? ''), call.body ?? new Uint8Array())
        return answer(204)
      case 'DELETE blocks/':
        this.objects.delete(key(CID.parse(parts[1] ?? '')))
        return answer(204)
    }
    return problem(404, { code: 'not-found', message: 'no such path' })
  }

  #writes (blocks: Asked[], cbor: boolean): unknown {
    const lease = `lease-${this.leases.size}`
    this.leases.set(lease, blocks)
    const [direct, staged]: Uint8Array[][] = [[], []]
    const lists = { stored: [] as number[], staged_blocks: [] as number[], proxied: [] as number[] }
    blocks.forEach(({ cid: given, size, sha256 }, index) => {
      const cid = cidOf(given)
      if (this.stored(cid)) {
        lists.stored.push(index)
      } else if (this.proxied(cid)) {
        lists.proxied.push(index)
      } else if (cid.multihash.code === sha256Code) {
        direct?.push(sign('PUT', key(cid), size))
      } else if (sha256 !== undefined) {
        lists.staged_blocks.push(index)
        staged?.push(sign('PUT', `${STAGING}/${key(declared(sha256))}`, size))
      } else {
        lists.proxied.push(index)
      }
    })
    return {
      lease,
      expires: now() + 900,
      ...(direct?.length ? { direct: this.#batch('PUT', direct, cbor) } : {}),
      ...(staged?.length ? { staged: { ...this.#batch('PUT', staged, cbor), prefix: STAGING } } : {}),
      ...Object.fromEntries(Object.entries(lists).filter(([, list]) => list.length > 0))
    }
  }

  #complete (lease: string, body: (value: unknown) => Answer): Answer {
    const blocks = this.leases.get(lease)
    if (blocks === undefined) {
      return problem(404, { code: 'no-such-lease', message: 'no such lease' })
    }
    const missing: number[] = []
    blocks.forEach(({ cid: given, sha256 }, index) => {
      const cid = cidOf(given)
      const name = sha256 === undefined ? undefined : `${STAGING}/${key(declared(sha256))}`
      const upload = name === undefined ? undefined : this.objects.get(name)
      if (name !== undefined && upload !== undefined) {
        this.objects.delete(name)
        this.place(cid, upload)
      } else if (!this.has(cid) && !this.stored(cid)) {
        missing.push(index)
      }
    })
    if (missing.length > 0) {
      return problem(409, { code: 'incomplete', message: 'blocks are missing', missing })
    }
    this.completed.push(lease)
    return body({ lease, blocks: blocks.length, bytes: blocks.reduce((sum, { size }) => sum + size, 0) })
  }

  #batch (method: string, signatures: Uint8Array[], cbor: boolean): Record<string, unknown> {
    const all = new Uint8Array(signatures.flatMap(signature => [...signature]))
    const text = btoa(String.fromCharCode(...all)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
    if (readBase64url(text)?.length !== all.length) {
      throw new Error('the world has its base64url wrong')
    }
    return {
      version: 1,
      method,
      base: this.base,
      layout: 'kubo',
      prefix: '',
      headers: {},
      ...(method === 'PUT' ? { seal: 'checksum' } : {}),
      query: QUERY,
      expires: now() + 600,
      signatures: cbor ? all : text
    }
  }
}

/** A block of this text. */
export async function block (text: string): Promise<{ cid: CID, bytes: Uint8Array }> {
  const bytes = new TextEncoder().encode(text)
  return { cid: CID.createV1(raw.code, await sha256.digest(bytes)), bytes }
}

export async function blocks (count: number): Promise<Array<{ cid: CID, bytes: Uint8Array }>> {
  return Promise.all(Array.from({ length: count }, async (_, i) => block(`block ${i}`)))
}

export function answer (status: number, body: Uint8Array = new Uint8Array(), type?: string, headers: Record<string, string> = {}): Answer {
  const all: Record<string, string> = { ...headers, ...(type === undefined ? {} : { 'content-type': type }) }
  return { status, header: name => all[name] ?? null, body: new Uint8Array(body) }
}

export function problem (status: number, value: Record<string, unknown>, headers: Record<string, string> = {}): Answer {
  return answer(status, new TextEncoder().encode(JSON.stringify(value)), 'application/json', headers)
}

export function xml (status: number, code: string): Answer {
  return answer(status, new TextEncoder().encode(`<?xml version="1.0"?><Error><Code>${code}</Code></Error>`), 'application/xml')
}

export function network (): never {
  throw new TransportError('network', 'no answer')
}

function json (value: unknown): Answer {
  return answer(200, new TextEncoder().encode(JSON.stringify(value)), 'application/json')
}

const sha256Code = 0x12

function key (cid: CID): string {
  return layout('kubo')?.key(cid) ?? ''
}

function cidOf (given: string | CID): CID {
  return typeof given === 'string' ? CID.parse(given) : given
}

function declared (sha256: string | Uint8Array): CID {
  const digest = typeof sha256 === 'string'
    ? Uint8Array.from(sha256.match(/../g) ?? [], byte => parseInt(byte, 16))
    : sha256
  return CID.createV1(raw.code, Digest.create(sha256Code, new Uint8Array(digest)))
}

/** What stands for a signature: any change of the request gives another. */
function sign (method: string, name: string, size: number): Uint8Array {
  const signature = new Uint8Array(32)
  new TextEncoder().encode(`${method} ${name} ${size}`).forEach((byte, i) => {
    signature[i % 32] = ((signature[i % 32] ?? 0) * 31 + byte + i) % 256
  })
  return signature
}

function hexOf (bytes: Uint8Array): string {
  return Array.from(bytes, byte => byte.toString(16).padStart(2, '0')).join('')
}

function now (): number {
  return Math.floor(Date.now() / 1000)
}
