import type { Pool } from 'pg'
import type { Status } from '../../message/message.ts'
import { countByStatus } from '../count-by-status.ts'
import { countUnknown } from '../rollups/read-standing.ts'
import { conditionsOf, hasMoreThanStatuses, possibleStatuses, within, type MessageFilter } from './filter.ts'
import type { MessageOrder } from './order.ts'
import { Parameters } from './parameters.ts'
import { findSmallSource, type Source } from './small-source.ts'
import { walk } from './walk.ts'

export type Count = { readonly value: string; readonly exact: boolean }

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

/** The share of matches among the first rows that a walk meets, of all it could meet. */
async function estimate(
  database: Pick<Pool, 'query'>,
  filter: MessageFilter,
  order: MessageOrder,
  possible: number,
  smallMax: number,
): Promise<Count> {
  const parameters = new Parameters()
  // What is sampled need not have the list's order, and the log has several events of each message.
  const sampled = order === 'DUE_ASC' ? order : 'CREATED_DESC'
  const rowsOf = walk(
    {
      filter,
      order: sampled,
      direction: order === 'DUE_ASC' ? 'asc' : 'desc',
      after: null,
      before: null,
      examinedMax: smallMax,
    },
    parameters,
  )
  const { rows } = await database.query<{
    met: number
    matches: number
    met_possible: number
    width: string | null
  }>(
    `select count(*)::int as met, count(*) filter (where c.status = any (${parameters.add(
      possibleStatuses(filter, order) ?? ['pending', 'processing', 'success', 'failed', 'dead_letter'],
      'text[]',
    )})${filter.outcomeUnknown === true ? ' and c.outcome_unknown' : ''})::int as met_possible,
      count(*) filter (where ${conditionsOf(filter, order, 'c', parameters)})::int as matches,
      ${widthOf(filter, parameters)} as width
    from (${rowsOf}) c`,
    parameters.values,
  )
  const sample = rows[0]
  if (sample === undefined || sample.met < smallMax)
    return { value: String(sample?.matches ?? 0), exact: true }
  const estimated =
    sample.width === null
      ? (sample.matches / Math.max(1, sample.met_possible)) * possible
      : Math.min(possible, (sample.matches / sample.met) * Number(sample.width))
  return { value: String(Math.max(sample.matches, Math.round(estimated))), exact: false }
}

/** Message ids are minted as time goes by, so those at the ends of a range of time say how many lie in it. */
function widthOf(filter: MessageFilter, parameters: Parameters): string {
  const range = within('r.created_at', filter.createdAt, parameters)
  if (range.length === 0) return 'null::bigint'
  const end = (direction: 'asc' | 'desc') =>
    `(select r.message_id from message_states r where ${range.join(' and ')}
      order by r.created_at ${direction}, r.message_id ${direction} limit 1)`
  return `(${end('desc')} - ${end('asc')} + 1)`
}
