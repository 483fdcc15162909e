import type { Pool } from 'pg'
import type { Status } from '../../../message/message.ts'
import { createdWithin, possibleStatuses, startsWith, within, type FoundFilter } from './filter.ts'
import type { MessageOrder } from './order.ts'
import { Parameters } from './parameters.ts'

/** Writes SQL for rows of message_states: every message of the list, and few others. */
export type Source = (parameters: Parameters) => string

/**
 * Finds the smallest set that has an index and holds every message of the list. It looks at `smallMax` + 1 rows of each set at
 * most.
 *
 * @returns null if every such set has more than `smallMax` messages
 */
export async function findSmallSource(
  database: Pick<Pool, 'query'>,
  filter: FoundFilter,
  order: MessageOrder,
  counts: Readonly<Record<Status, number>>,
  smallMax: number,
): Promise<Source | null> {
  const total = Object.values(counts).reduce((sum, count) => sum + count, 0)
  if (total <= smallMax) return () => 'select m.* from message_states m'
  const candidates = sourcesOf(filter, smallMax)
  const sizes = await countBounded(database, candidates, smallMax)
  const statuses = possibleStatuses(filter, order)
  if (statuses !== null && !statuses.includes('success')) {
    candidates.push(() => ofStatuses(statuses, smallMax))
    sizes.push(statuses.reduce((sum, status) => sum + counts[status], 0))
  }
  const least = Math.min(...sizes)
  return least <= smallMax ? (candidates[sizes.indexOf(least)] ?? null) : null
}

function sourcesOf(filter: FoundFilter, smallMax: number): Source[] {
  const {
    transactionIds,
    transactionIdPrefix,
    reference,
    outcomeUnknown,
    held,
    resolved,
    resolutions,
    createdAt,
    dueAt,
  } = filter
  const sources: Source[] = []
  const add = (source: Source) => sources.push(source)
  if (transactionIds !== undefined)
    add((parameters) =>
      ofInbox(`i.transaction_id = any (${parameters.add(transactionIds, 'text[]')} collate "C")`),
    )
  if (transactionIdPrefix !== undefined)
    add((parameters) => ofInbox(startsWith('i.transaction_id', transactionIdPrefix, parameters)))
  if (reference !== undefined) add((parameters) => ofReference(reference, parameters))
  if (outcomeUnknown === true) add(() => alongIndex('m.outcome_unknown', 'message_id', smallMax))
  if (held === true) add(() => ofDecided('d.resolution is null'))
  if (resolved === true || resolutions !== undefined) add(() => ofDecided('d.resolution is not null'))
  if (createdAt !== undefined) add((parameters) => ofStates(createdWithin('m', createdAt, parameters)))
  if (dueAt !== undefined)
    add((parameters) =>
      ofStates([
        `m.queue in ('pending', 'failed') and m.due_at is not null`,
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

/** In the order of the index, because several events of a message may have the same reference. */
function ofReference(reference: string, parameters: Parameters): string {
  return `select m.* from (select distinct e.message_id from message_events e where e.reference = ${parameters.add(reference, 'text')}
      order by e.message_id) k
    cross join lateral (select t.* from message_states t where t.message_id = k.message_id limit 1) m`
}

function ofStates(conditions: string[]): string {
  return `select m.* from message_states m where ${conditions.join(' and ')}`
}

function ofDecided(condition: string): string {
  return `select m.* from decided_messages d
    cross join lateral (select t.* from message_states t where t.message_id = d.message_id limit 1) m
    where ${condition}`
}

/** Messages that wait for an attempt are found by the index on due times: each of them has a due time, unless it is on hold. */
function ofStatuses(statuses: readonly Status[], smallMax: number): string {
  const each = statuses.map((status) => {
    if (status === 'processing') return ofProcessing
    return status === 'dead_letter'
      ? alongIndex(`m.queue = 'dead_letter'`, 'message_id', smallMax)
      : `${alongIndex(`m.queue = '${status}' and m.due_at is not null`, 'due_at', smallMax)}
        union all ${ofDecided(`d.resolution is null and m.status = '${status}'`)}`
  })
  return each.length === 0 ? 'select m.* from message_states m where false' : each.join(' union all ')
}

const ofProcessing = `select m.* from processing_messages(null) as p(message_id)
    cross join lateral (select t.* from message_states t where t.message_id = p.message_id limit 1) m`

/**
 * The order and the limit make the planner walk the index that has this condition and this order. The limit is never reached.
 * Without statistics the planner expects that every second row meets the condition, and would scan the table.
 */
function alongIndex(condition: string, column: 'message_id' | 'due_at', smallMax: number): string {
  return `(select m.* from message_states m where ${condition} order by m.${column}, m.message_id limit ${2 * smallMax + 1})`
}

async function countBounded(
  database: Pick<Pool, 'query'>,
  sources: readonly Source[],
  smallMax: number,
): Promise<number[]> {
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
