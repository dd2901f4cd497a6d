import * as dagCbor from '@ipld/dag-cbor'
import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import vectors from '../../../presign/tests/vectors/batches.json' with { type: 'json' }
import { Batch, Problem } from '../src/index.js'

interface Vector {
  name: string
  batch: Record<string, unknown>
  dag_cbor_hex: string
  blocks: Array<{ cid: string, size?: number, md5?: string }>
  grants: Array<{ method: string, url: string, headers: Record<string, string>, expires: number | null }>
}

const RAW = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')

describe('batches', () => {
  for (const vector of vectors as Vector[]) {
    for (const form of ['JSON', 'DAG-CBOR']) {
      it(`assemble the grants of the vector "${vector.name}" from ${form}`, () => {
        const batch = Batch.from(form === 'JSON' ? vector.batch : dagCbor.decode(unhex(vector.dag_cbor_hex)))
        expect(vector.grants).to.have.lengthOf(vector.blocks.length)
        vector.grants.forEach((expected, index) => {
          const asked = vector.blocks[index]
          if (asked === undefined) {
            throw new Error('a grant without a block')
          }
          const cid = CID.parse(asked.cid)
          const grant = batch.method === 'PUT'
            ? batch.write(index, {
              cid, size: asked.size ?? NaN, md5: asked.md5 === undefined ? undefined : unhex(asked.md5)
            })
            : batch.read(index, cid)
          expect(grant).to.deep.equal(expected)
          expect(new URL(grant.url).href).to.equal(grant.url)
        })
      })
    }
  }

  const [reads, writes] = ['reads', 'writes under checksum'].map(name => {
    const vector = (vectors as Vector[]).find(vector => vector.name === name)
    if (vector === undefined) {
      throw new Error(`no vector ${name}`)
    }
    return vector.batch
  }) as [Record<string, unknown>, Record<string, unknown>]

  it('say what they are for', () => {
    expect(Batch.from(reads)).to.include({ method: 'GET', seal: undefined, blocks: 2, expires: 1369353900 })
    expect(Batch.from(writes)).to.include({ method: 'PUT', seal: 'checksum', blocks: 2 })
  })

  it('give no grant that was not asked for', () => {
    const identity = CID.parse('bafkqaaa')
    const sha512 = CID.parse('bafkrgqhhyivzstcz3hhswshfjgy6ertgmnqeleynhwt4dlfsthi4hn7zgh4uvlsb5xncykzapi3ocd4lzogukir6ksdy6wzrnz6ohnv4aglcs')
    for (const attempt of [
      () => Batch.from(reads).read(2, RAW),
      () => Batch.from(reads).read(-1, RAW),
      () => Batch.from(reads).read(0, identity),
      () => Batch.from(reads).write(0, { cid: RAW, size: 1 }),
      () => Batch.from(writes).read(0, RAW),
      () => Batch.from(writes).write(0, { cid: sha512, size: 1 }),
      () => Batch.from({ ...writes, seal: 'checksum-md5' }).write(0, { cid: RAW, size: 1 })
    ]) {
      expect(attempt).to.throw(Problem).with.property('code', 'invalid')
    }
  })

  const wrong: Array<[string, Record<string, unknown>, unknown]> = [
    ['version', reads, 2], ['version', reads, '1'], ['method', reads, 'POST'], ['method', reads, 'PUT'],
    ['more', reads, 1], ['layout', reads, 'Kubo'], ['layout', reads, '3box-prefix-33'], ['layout', reads, 'peergos:A'],
    ['layout', reads, 7],
    ...[
      'https://h', 'ftp://h/', 'https://u@h/', 'https://h/?a/', 'https://h/#/', 'https://h/a/../b/', 'https://h//',
      'https://h/a//', 'https://h/%2F/', 'https://H/', 'https://h:443/', 'https://h/a', 'https://h/ü/', 'https://h/./',
      'https://127.1/', `https://h/${'a'.repeat(2048)}/`, 'https:///', 'https://h\\@g/', '//h/', 1, null
    ].map((base): [string, Record<string, unknown>, unknown] => ['base', reads, base]),
    ...[
      '/a', 'a/', 'a//b', '.', 'a/..', 'a/./b', 'a\nb', '\u0085', 'a%2fb', '%2E', 'a%5Cb', 'ü'.repeat(257), '\ud800', 3
    ].map((prefix): [string, Record<string, unknown>, unknown] => ['prefix', reads, prefix]),
    ...['', 'a b', 'a#b', 'a?b', 'a/b', 'x'.repeat(16_385), 1, undefined]
      .map((query): [string, Record<string, unknown>, unknown] => ['query', reads, query]),
    ...[
      { authorization: 'x' }, { host: 'h' }, { 'x-amz-': 'x' }, { 'X-Amz-A': 'x' }, { cookie: 'x' }, { 'x-amz-a': 'ü' },
      { 'x-amz-a': 'a\r\nb: c' }, { 'x-amz-a': 1 }, { 'x-amz-a': 'x'.repeat(1025) }, { [`x-amz-${'a'.repeat(1024)}`]: '' },
      Object.fromEntries(Array.from({ length: 17 }, (_, i) => [`x-amz-${i}`, ''])), [], null
    ].map((headers): [string, Record<string, unknown>, unknown] => ['headers', reads, headers]),
    ['seal', reads, 'checksum'], ['seal', reads, null], ['seal', writes, undefined], ['seal', writes, 'header'],
    ['expires', reads, undefined], ['expires', reads, 1.5], ['expires', reads, -1], ['expires', reads, '1'],
    ...[
      undefined, 'a', 'AAAA', '='.repeat(43), 'A'.repeat(43) + '=', '+'.repeat(43), `${'A'.repeat(42)}B`, new Uint8Array(33),
      new Uint8Array(32 * 65_537), [1]
    ].map((signatures): [string, Record<string, unknown>, unknown] => ['signatures', reads, signatures])
  ]
  for (const member of new Set(wrong.map(([member]) => member))) {
    it(`with a wrong ${member} are refused`, () => {
      for (const [, batch, value] of wrong.filter(([name]) => name === member)) {
        const altered: Record<string, unknown> = { ...batch, [member]: value }
        if (value === undefined) {
          delete altered[member]
        }
        expect(() => Batch.from(altered), String(value)).to.throw(Problem).with.property('code', 'protocol')
      }
    })
  }

  it('that are no maps are refused', () => {
    for (const value of [null, undefined, 1, 'a', [], new Uint8Array(1)]) {
      expect(() => Batch.from(value)).to.throw(Problem)
    }
  })
})

function unhex (text: string): Uint8Array {
  return Uint8Array.from(text.match(/../g) ?? [], byte => parseInt(byte, 16))
}
