import type { Pool } from 'pg'
import { conditionsOf, possibleStatuses, startsWith, type FoundFilter } from './filter.ts'
import type { MessageOrder } from './order.ts'
import { Parameters } from './parameters.ts'
import { walk } from './walk.ts'

/** How many there are, in decimal digits, and whether that is exact. */
export type Count = { readonly value: string; readonly exact: boolean }

/**
 * How many messages a list has that is no small set, from a sample of `smallMax` rows; exact after all where they are no more.
 *
 * @param possible how many messages have a status that the list's can have
 */
export async function estimate(
  database: Pick<Pool, 'query'>,
  filter: FoundFilter,
  order: MessageOrder,
  possible: number,
  smallMax: number,
): Promise<Count> {
  return filter.transactionIdPrefix === undefined
    ? estimateByWalk(database, filter, order, possible, smallMax)
    : estimateByPrefix(database, filter, order, filter.transactionIdPrefix, possible, smallMax)
}

/** Ids are anywhere in time, so the sample is of those with the prefix; how many they are the planner's statistics say. */
async function estimateByPrefix(
  database: Pick<Pool, 'query'>,
  filter: FoundFilter,
  order: MessageOrder,
  prefix: string,
  possible: number,
  smallMax: number,
): Promise<Count> {
  const parameters = new Parameters()
  const { rows } = await database.query<{ met: number; matches: number }>(
    `select count(*)::int as met, count(*) filter (where ${conditionsOf(filter, order, 's', parameters)})::int as matches
     from (select i.message_id from inbox i where ${startsWith('i.transaction_id', prefix, parameters)}
       order by i.transaction_id limit ${smallMax}) k
     cross join lateral (select m.* from message_states m where m.message_id = k.message_id limit 1) s`,
    parameters.values,
  )
  const { met, matches } = rows[0] ?? { met: 0, matches: 0 }
  if (met < smallMax) return { value: String(matches), exact: true }
  const range = new Parameters()
  const planned = await database.query<{ 'QUERY PLAN': [{ Plan: { 'Plan Rows': number } }] }>(
    `explain (format json) select 1 from inbox i where ${startsWith('i.transaction_id', prefix, range)}`,
    range.values,
  )
  const size = Math.max(met, planned.rows[0]?.['QUERY PLAN'][0].Plan['Plan Rows'] ?? 0)
  return { value: String(Math.min(possible, Math.round((matches / met) * size))), exact: false }
}

/** The share of matches among the first rows that a walk meets, of all it could meet. */
async function estimateByWalk(
  database: Pick<Pool, 'query'>,
  filter: FoundFilter,
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
function widthOf({ createdAt }: FoundFilter, parameters: Parameters): string {
  if (createdAt?.from === undefined && createdAt?.to === undefined) return 'null::bigint'
  const [first, last] = [createdAt.firstId, createdAt.lastId].map((id) => parameters.add(id, 'bigint'))
  return `${last} - ${first} + 1`
}
