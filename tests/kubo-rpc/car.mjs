// CARv1, read and written by other code than that under test.

import { decode, encode } from '@ipld/dag-cbor'
import { CID } from 'multiformats/cid'

function varint (number) {
  const bytes = []
  while (number >= 0x80) {
    bytes.push((number & 0x7f) | 0x80)
    number = Math.floor(number / 128)
  }
  return Uint8Array.from([...bytes, number])
}

function section (...parts) {
  const length = parts.reduce((sum, part) => sum + part.length, 0)
  return Buffer.concat([varint(length), ...parts])
}

export function writeCar (roots, blocks) {
  const header = section(encode({ version: 1, roots }))
  return Buffer.concat([header, ...blocks.map(({ cid, bytes }) => section(cid.bytes, bytes))])
}

export function readCar (car) {
  const sections = []
  let at = 0
  while (at < car.length) {
    let length = 0
    let factor = 1
    let byte
    do {
      byte = car[at++]
      length += (byte & 0x7f) * factor
      factor *= 128
    } while (byte & 0x80)
    if (at + length > car.length) throw new Error('the CAR is cut off')
    sections.push(car.subarray(at, at + length))
    at += length
  }
  const [header, ...rest] = sections
  const blocks = rest.map((section) => {
    const [cid, bytes] = CID.decodeFirst(section)
    return { cid, bytes }
  })
  return { ...decode(header), blocks }
}
