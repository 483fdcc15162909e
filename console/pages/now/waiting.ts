import type { NowMetrics } from './now.tsx'

/** How many payments wait for an attempt, first or further, as of these counts; null where they are not known. */
export function countWaiting(counts: NowMetrics['counts']): string | null {
  return counts === null ? null : String(BigInt(counts.pending) + BigInt(counts.failed))
}
