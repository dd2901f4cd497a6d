/** What the runner started for the tests. */
export interface Access {
  /** Servers that let pages of other origins in, do not, and are not there. */
  peer: { open: string, closed: string, gone: string }
  service?: { url: string, token: string }
}

export function access (): Access {
  const given = (globalThis as { cidbucket?: Access }).cidbucket
  if (given === undefined) {
    throw new Error('the tests are started by test/run.js')
  }
  return given
}

/** Whether this runs in a page. */
export const inPage = typeof document !== 'undefined'
