import type { ReplayJob } from '../../log/read/read-jobs.ts'
import { Latch } from '../../runtime/latch.ts'
import { wait } from '../../runtime/wait.ts'

// After a question that the database did not answer.
const retryMs = 1_000

type Source = {
  /** Null if there is no such job. */
  readonly read: () => Promise<ReplayJob | null>
  /** Calls the function whenever something may have changed; answers how to stop that. */
  readonly onChange: (wake: () => void) => () => void
}

/**
 * A job as it stands now (null until it is started), and then whenever something was decided about it or its counts have changed, which
 * is told once a second. Whoever takes slowly gets the latest and not each.
 *
 * @throws DatabaseUnavailable if the first question is not answered. Later ones are repeated until they are
 */
export async function* followJob(
  { read, onChange }: Source,
  signal: AbortSignal,
): AsyncGenerator<ReplayJob | null> {
  const changed = new Latch()
  // Before the first look, so that no change falls between the two.
  const leave = onChange(() => changed.open())
  try {
    let known: string | null = null
    while (!signal.aborted) {
      changed.close()
      const job: ReplayJob | null | undefined = known === null ? await read() : await readAgain(read, signal)
      if (job === undefined) return
      const place: string = JSON.stringify(job)
      if (place !== known) {
        known = place
        yield job
      }
      await changed.opened(signal)
    }
  } finally {
    leave()
  }
}

/** Undefined if the signal aborted before there was an answer. */
async function readAgain(read: Source['read'], signal: AbortSignal): Promise<ReplayJob | null | undefined> {
  while (!signal.aborted) {
    try {
      return await read()
    } catch {
      await wait(retryMs, signal)
    }
  }
  return undefined
}
