import type { Pool } from 'pg'
import type { Status } from '../../message/message.ts'
import { countByStatus } from '../count-by-status.ts'
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
  const source = await findSmallSource(database, filter, order, counts, smallMax)
  return source === null
    ? estimate(database, filter, order, sum(counts, statuses), smallMax)
    : { value: await countWhole(database, filter, order, source), exact: true }
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

/** The share of matches among the newest rows that the walk meets, of all it could meet. */
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
    )}))::int as met_possible,
      count(*) filter (where ${conditionsOf(filter, order, 'c', parameters)})::int as matches,
      ${widthOf(filter, parameters)} as width
    from (${rowsOf}) c`,
    parameters.values,
  )
  const sample = rows[0]
  if (sample === undefined || sample.met < smallMax)
    return { value: String(sample?.matches ?? 0), exact: true }
  const size = Math.min(possible, sample.width === null ? possible : Number(sample.width))
  const share = sample.matches / Math.max(1, sample.met_possible)
  return { value: String(Math.max(sample.matches, Math.round(share * size))), exact: false }
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
