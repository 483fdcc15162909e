/** What `within` answers when the work has not come to its end in time. */
export const late = Symbol('late')

/**
 * What the work comes to, if it does within `ms` milliseconds and before the signal aborts; otherwise `late`, and the work is left to
 * itself: how it ends then is not reported, also if it rejects. Rejects as the work does in time.
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
