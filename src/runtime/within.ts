/** What `within` answers when the work has not come to its end in time. */
export const late = Symbol('late')

/**
 * Waits for the work, but only for `ms` milliseconds and until the signal aborts. In time it resolves or rejects as the work does. Otherwise it
 * resolves to `late`; the work goes on, and its result or error is ignored.
 */
export async function within<Value>(
  work: Promise<Value>,
  ms: number,
  signal?: AbortSignal,
): Promise<Value | typeof late> {
  let giveUp = (): void => undefined
  const passed = new Promise<typeof late>((resolve) => {
    giveUp = () => resolve(late)
  })
  const timer = setTimeout(giveUp, ms)
  signal?.addEventListener('abort', giveUp)
  if (signal?.aborted === true) giveUp()
  try {
    return await Promise.race([work, passed])
  } finally {
    clearTimeout(timer)
    signal?.removeEventListener('abort', giveUp)
  }
}
