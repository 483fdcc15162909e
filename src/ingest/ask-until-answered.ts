import { wait } from '../runtime/wait.ts'

const retryMs = { first: 50, max: 1_000 }

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
      await wait(retryDelayMs(failures), signal)
    }
  }
  return null
}

/**
 * The wait after this many failures in a row. It is at most a second, so the database's return is noticed
 * within one.
 */
export function retryDelayMs(failures: number): number {
  return Math.min(retryMs.max, retryMs.first * 2 ** (failures - 1))
}
