import { retryDelayMs } from '../runtime/retry-delay-ms.ts'
import { wait } from '../runtime/wait.ts'

/** At most a second, so that the database's return is noticed within one. */
export const askAgain = { firstMs: 50, maxMs: 1_000 }

/**
 * Calls `ask` until it succeeds, for as long as that takes.
 *
 * @param isWanted is called before each try
 * @param onFailure is called after each failed try, with the number of failures so far
 * @returns null once `isWanted` says no, or once the signal aborts
 */
export async function askUntilAnswered<Answer>(
  ask: () => Promise<Answer>,
  isWanted: () => boolean,
  onFailure: (error: unknown, failures: number) => void,
  signal: AbortSignal,
): Promise<Answer | null> {
  for (let failures = 1; isWanted() && !signal.aborted; failures++) {
    try {
      return await ask()
    } catch (error) {
      onFailure(error, failures)
      await wait(retryDelayMs(failures, askAgain), signal)
    }
  }
  return null
}
