import { expect } from 'chai'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { layout } from '../src/layout.js'

const RAW = CID.parse('bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy')
const K = 'CIQMPUAUREEAQWGFAADFQNWGLD4EPJWKM7CIMRQZEEV6J6BABZF3VTQ'
const IDENTITY = CID.parse('bafkqaaa')

describe('layouts', () => {
  for (const [name, key] of [
    ['kubo', K],
    ['kubo-unmounted', `blocks/${K}`],
    ['3box-identity', `${K}/${K}`],
    ['3box-prefix-5', `CIQMP/${K}`],
    ['3box-suffix-2', `TQ/${K}`],
    ['3box-next-to-last-2', `VT/${K}`],
    ['jclab-suffix', `${K}/data`],
    ['jclab-next-to-last-2', `VT/${K}`],
    ['flatfs', `VT/${K}.data`],
    ['flatfs-bare', `VT/${K}`],
    ['helia', `TQ/B${K}.data`],
    ['helia-flat', `B${K}.data`],
    ['peergos', RAW.toString().slice(1).toUpperCase()],
    ['peergos:alice', `alice/${RAW.toString().slice(1).toUpperCase()}`],
    ['piri', `vt/${K.toLowerCase()}.data`]
  ] as const) {
    it(`${name} has its keys`, () => {
      expect(layout(name)?.key(RAW)).to.equal(key)
    })
  }

  it('fill up a short text as upstream does', () => {
    for (const [name, key] of [
      ['3box-prefix-6', 'AAAA__/AAAA'],
      ['3box-suffix-6', '__AAAA/AAAA'],
      ['3box-next-to-last-6', '___AAA/AAAA'],
      ['3box-next-to-last-2', 'AA/AAAA']
    ] as const) {
      expect(layout(name)?.key(IDENTITY)).to.equal(key)
    }
  })

  it('keyed by CID write forms that can be found again', () => {
    const peergos = layout('peergos')
    const raw = peergos?.key(RAW)
    expect(peergos?.key(CID.createV1(0x0129, RAW.multihash))).to.equal(raw)
    expect(peergos?.key(CID.createV1(0x71, RAW.multihash))).to.match(/^AFYREI/)
    expect(peergos?.key(CID.createV0(Digest.create(0x12, RAW.multihash.digest)))).to.equal(peergos?.key(CID.createV1(0x70, RAW.multihash)))
    expect(peergos?.oneKey).to.equal(false)
  })

  it('of other names are unknown', () => {
    for (const name of ['', 'Kubo', '3box-prefix-0', '3box-prefix-02', '3box-prefix-33', '3box-prefix-', 'peergos:', 'peergos:A', 'peergos:..', `peergos:${'a'.repeat(33)}`, 'toString']) {
      expect(layout(name), name).to.equal(undefined)
    }
  })
})
