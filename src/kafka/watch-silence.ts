const ticks = 30

/**
 * A smoke alarm for a client that has gone dead without a word. It counts ticks and not time, so that a long block of the
 * event loop, in which no sign of life can be heard, is one tick and no silence.
 *
 * @returns `heard`, to be called at each sign of life, and `silent`, which rejects after `ms` without one; never once the
 *   signal aborted
 */
export function watchSilence(ms: number, signal: AbortSignal): { heard: () => void; silent: Promise<never> } {
  let passed = 0
  const silent = new Promise<never>((_resolve, reject) => {
    const timer = setInterval(() => {
      passed++
      if (passed >= ticks) reject(new Error(`no sign of life for ${ms} ms`))
    }, ms / ticks)
    signal.addEventListener('abort', () => clearInterval(timer), { once: true })
  })
  const heard = (): void => {
    passed = 0
  }
  return { heard, silent }
}
