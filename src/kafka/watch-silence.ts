const ticks = 30

/**
 * An alarm for a client that has silently stopped. It counts ticks and not time: while the event loop is
 * blocked no sign of life can arrive, and a long block counts as one tick only.
 *
 * @returns `heard`, to be called at each sign of life, and `silent`, which rejects after `ms` without one,
 *   but never after the signal aborted
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
