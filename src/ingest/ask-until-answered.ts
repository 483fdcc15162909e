import { wait } from '../runtime/wait.ts'

const retryMs = { first: 50, max: 1_000 }

/**
 * Asks again and again, for as long as it takes.
 *
 * @param isWanted asked before each try
 * @param onFailure hears of each try that failed, from 1
 * @returns null once the answer is not wanted any more, or the signal aborts
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

/** How long to wait after so many failures in a row: the database's return is noticed within a second. */
export function retryDelayMs(failures: number): number {
  return Math.min(retryMs.max, retryMs.first * 2 ** (failures - 1))
}
