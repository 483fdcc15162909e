import type { Pool } from 'pg'
import type { Status } from '../../../message/message.ts'
import { countByStatus } from '../count-by-status.ts'
import { countUnknown } from '../rollups/read-standing.ts'
import { estimate, type Count } from './estimate.ts'
import { conditionsOf, hasMoreThanStatuses, possibleStatuses, type MessageFilter } from './filter.ts'
import type { MessageOrder } from './order.ts'
import { Parameters } from './parameters.ts'
import { findSmallSource, type Source } from './small-source.ts'

/**
 * How many messages the list has: exact where it is known or the set is small, otherwise an estimate from a sample of
 * `smallMax` rows. Never a scan.
 */
export async function countMessages(
  database: Pick<Pool, 'query'>,
  filter: MessageFilter,
  order: MessageOrder,
  smallMax: number,
): Promise<Count> {
  const counts = await countByStatus(database)
  const statuses = possibleStatuses(filter, order)
  if (!hasMoreThanStatuses(filter)) return { value: String(sum(counts, statuses)), exact: true }
  const possible = await countPossible(database, filter, counts, statuses)
  if (isOnlyUnknown(filter, order)) return { value: String(possible), exact: true }
  const source = await findSmallSource(database, filter, order, counts, smallMax)
  return source === null
    ? estimate(database, filter, order, possible, smallMax)
    : { value: await countWhole(database, filter, order, source), exact: true }
}

/** How many messages have a status, and an unknown outcome if that is asked for, that the list's can have. */
async function countPossible(
  database: Pick<Pool, 'query'>,
  filter: MessageFilter,
  counts: Readonly<Record<Status, number>>,
  statuses: readonly Status[] | null,
): Promise<number> {
  const all = sum(counts, statuses)
  if (filter.outcomeUnknown !== true) return all
  const { open, success, deadLetter } = await countUnknown(database)
  const has = (...some: Status[]) => statuses === null || some.some((status) => statuses.includes(status))
  const unknown =
    (has('pending', 'processing', 'failed') ? Number(open) : 0) +
    (has('success') ? Number(success) : 0) +
    (has('dead_letter') ? Number(deadLetter) : 0)
  return Math.min(all, unknown)
}

function isOnlyUnknown(filter: MessageFilter, order: MessageOrder): boolean {
  return (
    filter.outcomeUnknown === true &&
    possibleStatuses(filter, order) === null &&
    !hasMoreThanStatuses({ ...filter, outcomeUnknown: undefined })
  )
}

function sum(counts: Readonly<Record<Status, number>>, statuses: readonly Status[] | null): number {
  return Object.entries(counts).reduce(
    (total, [status, count]) => (statuses?.includes(status as Status) === false ? total : total + count),
    0,
  )
}

async function countWhole(
  database: Pick<Pool, 'query'>,
  filter: MessageFilter,
  order: MessageOrder,
  source: Source,
): Promise<string> {
  const parameters = new Parameters()
  const { rows } = await database.query<{ value: string }>(
    `select count(*) as value from (${source(parameters)}) s where ${conditionsOf(filter, order, 's', parameters)}`,
    parameters.values,
  )
  return rows[0]?.value ?? '0'
}
