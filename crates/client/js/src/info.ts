import { Batch } from './batch.js'
import { isCount, record, unfit } from './grant.js'

/** What a service is (`GET /v1/info`). */
export interface Info {
  /** Product and version, for people. */
  readonly server: string
  readonly reads: 'authorised' | 'public'
  /** Plain URLs of the shared blocks, where anybody may read them. */
  readonly public: Batch | undefined
  /** Whether blocks can be read at S3. */
  readonly directReads: boolean
  /** Whether blocks are written at S3, through the service, or not at all. */
  readonly writes: 'direct' | 'proxied' | 'none'
  readonly seal: string | undefined
  readonly layout: string | undefined
  readonly limits: Limits
}

/** What can be asked for. */
export interface Limits {
  /** The largest block, in bytes. */
  readonly maxBlock: number
  /** The most blocks of one request. */
  readonly maxBlocks: number
  /** The largest body of a request, in bytes. */
  readonly maxBody: number
  /** How long grants live, in seconds. */
  readonly readExpires: number
  readonly writeExpires: number
}

/** Reads what a service says of itself. What is unknown is passed over. */
export function readInfo (value: unknown): Info {
  const wire = record(value, 'the info')
  const { version, server, reads, writes, seal, layout } = wire
  if (version !== 1) {
    throw unfit('the version of the protocol')
  }
  if (reads !== 'authorised' && reads !== 'public') {
    throw unfit('who may read')
  }
  if (writes !== 'direct' && writes !== 'proxied' && writes !== 'none') {
    throw unfit('how blocks are written')
  }
  const batch = wire['public'] === undefined ? undefined : Batch.from(wire['public'])
  return {
    server: String(server),
    reads,
    public: batch !== undefined && batch.blocks === undefined && reads === 'public' ? batch : undefined,
    directReads: wire['direct_reads'] !== false,
    writes,
    seal: typeof seal === 'string' ? seal : undefined,
    layout: typeof layout === 'string' ? layout : undefined,
    limits: readLimits(wire['limits'])
  }
}

function readLimits (value: unknown): Limits {
  const wire = record(value, 'the limits')
  const limit = (name: string): number => {
    const number = wire[name]
    if (!isCount(number) || number === 0) {
      throw unfit(`the limit ${name}`)
    }
    return number
  }
  return {
    maxBlock: limit('max_block'),
    maxBlocks: limit('max_blocks'),
    maxBody: limit('max_body'),
    readExpires: limit('read_expires'),
    writeExpires: limit('write_expires')
  }
}
