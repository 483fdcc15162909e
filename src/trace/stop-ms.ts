// How long a stop waits for the collector of traces, if there is time.
const msMax = 1_000
// What a drain may take beyond its grace, for all that waits for a collector. It says that it has failed after a second.
const beyondGraceMs = 500

/**
 * How long a drain may wait for the collector of traces: it must never be why a stop says that it did not end in time.
 *
 * @param graceMs what open attempts get
 * @param passedMs since the drain began
 */
export function stopMs(graceMs: number, passedMs: number): number {
  return Math.max(0, Math.min(msMax, graceMs + beyondGraceMs - passedMs))
}
