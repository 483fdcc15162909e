import type { DestinationStanding } from '../../log/read/read-destinations.ts'
import { Latch } from '../../runtime/latch.ts'
import { wait } from '../../runtime/wait.ts'

// After a question that the database did not answer.
const retryMs = 1_000

type Source = {
  /** Null if there is no such destination. */
  readonly read: () => Promise<DestinationStanding | null>
  /** Calls the function whenever something may have changed; answers how to stop that. */
  readonly onChange: (wake: () => void) => () => void
}

/**
 * How a destination stands now, and then at each decision about it, and whenever the time of its next probe changes. Whoever takes slowly
 * gets the latest and not each.
 *
 * @throws DatabaseUnavailable if the first question is not answered. Later ones are repeated until they are
 */
export async function* followDestination(
  { read, onChange }: Source,
  signal: AbortSignal,
): AsyncGenerator<DestinationStanding> {
  const changed = new Latch()
  // Before the first look, so that no change falls between the two.
  const leave = onChange(() => changed.open())
  try {
    let known: string | null = null
    while (!signal.aborted) {
      changed.close()
      const standing = known === null ? await read() : await readAgain(read, signal)
      if (standing !== null && placeOf(standing) !== known) {
        known = placeOf(standing)
        yield standing
      }
      await changed.opened(signal)
    }
  } finally {
    leave()
  }
}

/** Null if the signal aborted before there was an answer. */
async function readAgain(read: Source['read'], signal: AbortSignal): Promise<DestinationStanding | null> {
  while (!signal.aborted) {
    try {
      return await read()
    } catch {
      await wait(retryMs, signal)
    }
  }
  return null
}

function placeOf({ decision, nextProbeAt }: DestinationStanding): string {
  return `${decision} ${nextProbeAt}`
}
