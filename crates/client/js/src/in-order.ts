/**
 * Does `work` for the items of a source, up to `ahead` of them at once, and gives the results in the
 * order of the items. It takes what the source has, and does not wait for more before it answers.
 */
export async function * inOrder<T, R> (
  source: Iterable<T> | AsyncIterable<T>,
  ahead: number,
  work: (item: T) => Promise<R>
): AsyncGenerator<R> {
  const items = Symbol.asyncIterator in source ? source[Symbol.asyncIterator]() : source[Symbol.iterator]()
  const results: Array<Promise<R>> = []
  let ended = false
  let failure: { error: unknown } | undefined
  let wake = (): void => {}

  // Takes items while there is room. It runs beside the giving, and is started again by it.
  let taking: Promise<void> | undefined
  const take = async (): Promise<void> => {
    while (!ended && results.length < ahead) {
      const taken = items.next()
      const next = 'then' in taken ? await taken : taken
      if (next.done === true) {
        ended = true
      } else {
        const result = work(next.value)
        // Whoever takes it hears of it; until then it is no unhandled one.
        result.catch(() => {})
        results.push(result)
      }
      wake()
    }
  }
  const goOn = (): void => {
    taking ??= take()
      .catch((error: unknown) => {
        ended = true
        failure = { error }
      })
      .finally(() => {
        taking = undefined
        wake()
      })
  }

  try {
    for (;;) {
      if (!ended) {
        goOn()
      }
      const first = results[0]
      if (first !== undefined) {
        const result = await first
        results.shift()
        yield result
      } else if (ended) {
        if (failure !== undefined) {
          throw failure.error
        }
        return
      } else {
        await new Promise<void>(resolve => { wake = resolve })
      }
    }
  } finally {
    if (!ended) {
      ended = true
      const end = Promise.resolve(items.return?.())
      // A source that is busy with its next item hears of it after that, for which nobody waits.
      end.catch(() => {})
      if (taking === undefined) {
        await end
      }
    }
  }
}
