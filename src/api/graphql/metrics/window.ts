import type { Minutes } from '../../../log/read/rollups/measures.ts'
import { readMinutes } from '../../../log/read/rollups/read-minutes.ts'
import { refuse } from '../errors.ts'
import { readBounded } from '../read-bounded.ts'
import type { TimeRangeInput } from '../time-range.ts'
import type { MetricsSnapshot } from './take-snapshot.ts'

// A month of minutes holds some three million rollups, which take half a second to sum.
const daysMax = 31
const secondsMax = daysMax * 86_400
const minutesMax = daysMax * 1_440 + 1

export type Window = { range?: TimeRangeInput | null | undefined; lastSeconds: number }

/**
 * The whole minutes that are asked for.
 *
 * @throws BAD_USER_INPUT
 */
export async function readWindow(
  { read }: MetricsSnapshot,
  { range, lastSeconds }: Window,
): Promise<Minutes> {
  readBounded('lastSeconds', lastSeconds, 1, secondsMax)
  const minutes = await read((client) =>
    readMinutes(client, range?.from ?? null, range?.to ?? null, lastSeconds),
  )
  if (minutes.count < 1) throw refuse('BAD_USER_INPUT', 'range.to must be after range.from.')
  if (minutes.count > minutesMax)
    throw refuse('BAD_USER_INPUT', `range must be at most ${daysMax} days: ask for it in parts.`)
  return minutes
}
