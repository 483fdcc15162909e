import type { Pool } from 'pg'
import type { Status } from '../../message/message.ts'
import { possibleStatuses, startsWith, within, type MessageFilter } from './filter.ts'
import type { MessageOrder } from './order.ts'
import { Parameters } from './parameters.ts'

/** A set of messages that is read whole, filtered and sorted. Up to as many it takes tens of milliseconds. */
export const smallMax = 10_000

/** SQL of rows of message_states, which holds every message of the list and few others. */
export type Source = (parameters: Parameters) => string

/**
 * The smallest set with an index of its own that holds every message of the list, if one has at most `smallMax`. Looks at no
 * more rows of each than that.
 */
export async function findSmallSource(
  database: Pick<Pool, 'query'>,
  filter: MessageFilter,
  order: MessageOrder,
  counts: Readonly<Record<Status, number>>,
): Promise<Source | null> {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  if (total <= smallMax) return () => 'select m.* from message_states m'
  const candidates = sourcesOf(filter)
  const sizes = await countBounded(database, candidates)
  const statuses = possibleStatuses(filter, order)
  if (statuses !== null && !statuses.includes('success')) {
    candidates.push(() => ofStatuses(statuses))
    sizes.push(statuses.reduce((sum, status) => sum + counts[status], 0))
  }
  const least = Math.min(...sizes)
  return least <= smallMax ? (candidates[sizes.indexOf(least)] ?? null) : null
}

function sourcesOf(filter: MessageFilter): Source[] {
  const { transactionIds, transactionIdPrefix, outcomeUnknown, createdAt, dueAt } = filter
  const sources: Source[] = []
  const add = (source: Source) => sources.push(source)
  if (transactionIds !== undefined)
    add((parameters) =>
      ofInbox(`i.transaction_id = any (${parameters.add(transactionIds, 'text[]')} collate "C")`),
    )
  if (transactionIdPrefix !== undefined)
    add((parameters) => ofInbox(startsWith('i.transaction_id', transactionIdPrefix, parameters)))
  if (outcomeUnknown === true) add(() => 'select m.* from message_states m where m.outcome_unknown')
  if (createdAt !== undefined) add((parameters) => ofStates(within('m.created_at', createdAt, parameters)))
  if (dueAt !== undefined)
    add((parameters) =>
      ofStates([
        `m.status in ('pending', 'failed') and m.due_at is not null`,
        ...within('m.due_at', dueAt, parameters),
      ]),
    )
  return sources
}

function ofInbox(condition: string): string {
  return `select m.* from inbox i
    cross join lateral (select t.* from message_states t where t.message_id = i.message_id limit 1) m
    where ${condition}`
}

function ofStates(conditions: string[]): string {
  return `select m.* from message_states m where ${conditions.join(' and ')}`
}

/** Each open status is in the index of what is due, with a time of its own. */
function ofStatuses(statuses: readonly Status[]): string {
  const each = statuses.map((status) =>
    status === 'dead_letter'
      ? `select m.* from message_states m where m.status = 'dead_letter'`
      : `select m.* from message_states m where m.status = '${status}' and m.due_at is not null`,
  )
  return each.length === 0 ? 'select m.* from message_states m where false' : each.join(' union all ')
}

async function countBounded(database: Pick<Pool, 'query'>, sources: readonly Source[]): Promise<number[]> {
  if (sources.length === 0) return []
  const parameters = new Parameters()
  const counts = sources.map(
    (source) =>
      `(select count(*) from (select 1 from (${source(parameters)}) m limit ${smallMax + 1}) b)::int`,
  )
  const { rows } = await database.query<{ sizes: number[] }>(
    `select array[${counts.join(', ')}] as sizes`,
    parameters.values,
  )
  return rows[0]?.sizes ?? []
}
