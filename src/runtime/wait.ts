import { setTimeout as delay } from 'node:timers/promises'

/** Waits for `ms` milliseconds, or until the signal aborts; never rejects. Says whether the time passed. */
export async function wait(ms: number, signal: AbortSignal): Promise<boolean> {
  try {
    await delay(ms, undefined, { signal })
    return true
  } catch {
    return false
  }
}
