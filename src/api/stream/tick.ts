import { wait } from '../../runtime/wait.ts'

/** A moment of this process. Those who want the same moment get the same object, and so the same answer. */
export type Tick = { readonly atMs: number }

// Every interval that may be asked for is met to within this, and those that meet in it are one.
const slotMs = 250
const earlyMs = 2
let last: Tick = { atMs: 0 }

/**
 * Now, and then every `everyMs`, counted from the clock's zero and not from the subscription's start, so that all who ask for
 * the same interval ask at the same moment. Moments that pass while nobody takes them are left out.
 */
export async function* tick(everyMs: number, signal: AbortSignal): AsyncGenerator<Tick> {
  while (!signal.aborted) {
    yield now()
    // A timer may fire a little early, which would be the moment before.
    await wait(everyMs - (Date.now() % everyMs) + earlyMs, signal)
  }
}

function now(): Tick {
  const atMs = Date.now() - (Date.now() % slotMs)
  if (last.atMs !== atMs) last = { atMs }
  return last
}
