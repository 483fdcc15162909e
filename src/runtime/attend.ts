import { once } from 'node:events'

/**
 * Waits for work that knows of no signal: no longer than until the signal aborts, when the work is left to itself. Meanwhile
 * `tell` is called every `everyMs`, with the milliseconds that have passed. Says whether the work came to its end; rejects as it does.
 */
export async function attend(
  work: Promise<unknown>,
  everyMs: number,
  tell: (passedMs: number) => void,
  signal: AbortSignal,
): Promise<boolean> {
  const startedAt = performance.now()
  const timer = setInterval(() => tell(performance.now() - startedAt), everyMs)
  const over = new AbortController()
  try {
    const left = signal.aborted ? Promise.resolve() : once(signal, 'abort', { signal: over.signal })
    return await Promise.race([work.then(() => true), left.then(() => false)])
  } finally {
    clearInterval(timer)
    over.abort()
  }
}
