import { Latch } from '../../runtime/latch.ts'
import { wait } from '../../runtime/wait.ts'

// After a question that the database did not answer.
const retryMs = 1_000

type Source<Value> = {
  /** Undefined if there is nothing to tell. */
  readonly read: () => Promise<Value | undefined>
  /** Calls the function whenever something may have changed; answers how to stop that. */
  readonly onChange: (wake: () => void) => () => void
  /** Two values with the same place are told once. */
  readonly placeOf: (value: Value) => string
}

/**
 * A value as it is now, and then whenever it is in another place. Whoever takes slowly gets the latest and not each.
 *
 * @throws DatabaseUnavailable if the first question is not answered. Later ones are repeated until they are
 */
export async function* followLatest<Value>(
  { read, onChange, placeOf }: Source<Value>,
  signal: AbortSignal,
): AsyncGenerator<Value> {
  const changed = new Latch()
  // Before the first look, so that no change falls between the two.
  const leave = onChange(() => changed.open())
  try {
    let known: string | null = null
    while (!signal.aborted) {
      changed.close()
      const value = known === null ? await read() : await readAgain(read, signal)
      if (value !== undefined && placeOf(value) !== known) {
        known = placeOf(value)
        yield value
      }
      await changed.opened(signal)
    }
  } finally {
    leave()
  }
}

/** Undefined also if the signal aborted before there was an answer. */
async function readAgain<Value>(
  read: Source<Value>['read'],
  signal: AbortSignal,
): Promise<Value | undefined> {
  while (!signal.aborted) {
    try {
      return await read()
    } catch {
      await wait(retryMs, signal)
    }
  }
  return undefined
}
