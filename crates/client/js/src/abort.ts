/** The promise's outcome, unless the caller gives up first. What was begun goes on. */
export async function unlessAborted<T> (promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) {
    return promise
  }
  let abort = (): void => {}
  try {
    return await Promise.race([promise, new Promise<never>((_resolve, reject) => {
      abort = () => { reject(signal.reason) }
      if (signal.aborted) {
        abort()
      }
      signal.addEventListener('abort', abort)
    })])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

/** Waits so many milliseconds, unless the caller gives up first. */
export async function sleep (milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined
  try {
    await unlessAborted(new Promise<void>(resolve => { timer = setTimeout(resolve, milliseconds) }), signal)
  } finally {
    clearTimeout(timer)
  }
}
