import type { Pool } from 'pg'
import type { Status } from '../../../message/message.ts'
import { countByStatus } from '../count-by-status.ts'
import { countDecided } from '../count-decided.ts'
import { countUnknown } from '../rollups/read-standing.ts'
import { estimate, type Count } from './estimate.ts'
import { conditionsOf, hasMoreThanStatuses, possibleStatuses, type MessageFilter } from './filter.ts'
import { findCreated } from './find-created.ts'
import type { MessageOrder } from './order.ts'
import { Parameters } from './parameters.ts'
import { findSmallSource, type Source } from './find-small-source.ts'

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
  const archived = await countArchived(database)
  const all = await countByStatus(database)
  // The counts of statuses are of all messages that ever were; a list has those that are in the database.
  const counts = {
    ...all,
    success: all.success - archived.success,
    dead_letter: all.dead_letter - archived.deadLetter,
  }
  const statuses = possibleStatuses(filter, order)
  if (!hasMoreThanStatuses(filter)) return { value: String(sum(counts, statuses)), exact: true }
  const decided = await countByDecision(database, filter)
  if (decided !== null && isOnlyDecided(filter, order)) return { value: String(decided), exact: true }
  const known = await countPossible(database, filter, counts, statuses)
  const possible = Math.min(known, decided ?? known)
  if (isOnlyUnknown(filter, order)) return { value: String(possible), exact: archived.segments === 0 }
  const found = await findCreated(database, filter)
  const source = await findSmallSource(database, found, order, counts, smallMax)
  return source === null
    ? estimate(database, found, order, possible, smallMax)
    : { value: await countWhole(database, filter, order, source), exact: true }
}

async function countArchived(
  database: Pick<Pool, 'query'>,
): Promise<{ segments: number; success: number; deadLetter: number }> {
  const { rows } = await database.query<{ segments: string; success: string; dead_letter: string }>({
    name: 'count_archived',
    text: `select count(*) as segments, coalesce(sum(success), 0) as success, coalesce(sum(dead_letter), 0) as dead_letter
      from segment_archives`,
  })
  const [row] = rows
  if (row === undefined) throw new Error('the counts of the archives are one row')
  return {
    segments: Number(row.segments),
    success: Number(row.success),
    deadLetter: Number(row.dead_letter),
  }
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

/** How many messages have the decision that the filter asks for, or more where it asks for certain resolutions; null if for none. */
async function countByDecision(
  database: Pick<Pool, 'query'>,
  { held, resolved, resolutions }: MessageFilter,
): Promise<number | null> {
  const isResolved = resolved ?? (resolutions === undefined ? undefined : true)
  if (held !== true && isResolved === undefined) return null
  const { onHold, openDeadLetters, resolvedDeadLetters } = await countDecided(database)
  const letters = isResolved === true ? resolvedDeadLetters : openDeadLetters
  return Math.min(held === true ? onHold : Infinity, isResolved === undefined ? Infinity : letters)
}

/** Whether the list is all that is on hold, or all open or resolved dead letters. */
function isOnlyDecided(filter: MessageFilter, order: MessageOrder): boolean {
  const { held, resolved, ...others } = filter
  if (order === 'DUE_ASC' || hasMoreThanStatuses(others)) return false
  if (held !== undefined) return held && resolved === undefined && others.statuses === undefined
  return others.statuses?.includes('dead_letter') !== false
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
