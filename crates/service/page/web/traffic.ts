// How many bytes went through the service, and how many straight to and from S3.

import type { Side, Traffic } from '@cidbucket/client'

export interface Bytes {
    service: number
    s3: number
}

/** Bytes of the head of a request and of its answer, about. Browsers tell only of bodies. */
const HEADS = 700

/** The bytes of both directions. */
export function bytesOf({ service, s3 }: Traffic): Bytes {
    return { service: bytesOfSide(service), s3: bytesOfSide(s3) }
}

function bytesOfSide({ up, down, requests }: Side): number {
    return up + down + requests * HEADS
}
