import type { Pool } from 'pg'
import { rebuild, type Difference } from '../../src/log/write/rebuild.ts'

/** Rebuilds the projection. Returns what differed from the log, and is mended now. */
export async function rebuildAll(database: Pick<Pool, 'query'>): Promise<Difference[]> {
  const differences: Difference[] = []
  for await (const difference of rebuild(database)) differences.push(difference)
  return differences
}
