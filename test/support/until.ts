import { setTimeout as sleep } from 'node:timers/promises'

/** Waits for a condition, looking every 20 ms. Fails after `withinMs`, which is generous: it bounds a hang, not a speed. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  withinMs = 120_000,
): Promise<void> {
  const end = performance.now() + withinMs
  let cause: unknown
  while (performance.now() < end) {
    try {
      if (await condition()) return
    } catch (error) {
      cause = error
    }
    await sleep(20)
  }
  throw new Error(`waited in vain for ${what}`, { cause })
}
