/** How many messages a job stops for: it looks at the last `after` that ended. */
export type StopWhen = { readonly failedShare: number; readonly after: number }

export type JobKind = 'replay' | 'resolve'

/** `waiting` is a job that runs while its destination does not flow. */
export type JobState = 'running' | 'waiting' | 'paused' | 'stopped' | 'aborted' | 'done'

/** Bounds of a pace, in replays a second, and of how many messages a stop looks at. */
export const paceMin = 0.01
export const paceMax = 1_000_000
export const stopAfterMax = 10_000

/** What begins so is a request of a job, in the events that it appends: no caller may name a request so. */
export const jobKeyPrefix = 'replay-job:'

/** The job that an event was appended by; null if by none. */
export function jobOf(requestKey: string | null): string | null {
  return requestKey?.startsWith(jobKeyPrefix) === true ? requestKey.slice(jobKeyPrefix.length) : null
}

/** Whether a number is a pace. */
export function isPace(perSecond: number): boolean {
  return perSecond >= paceMin && perSecond <= paceMax
}
