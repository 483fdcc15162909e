import type { Status } from '../../../message/message.ts'
import { createdWithin, possibleStatuses, within, type FoundFilter, type MessageFilter } from './filter.ts'
import { between, columnOf, type MessageOrder, type PageKey } from './order.ts'
import type { Parameters } from './parameters.ts'

const bigintMax = '9223372036854775807'

export type Walk = {
  readonly filter: FoundFilter
  readonly order: MessageOrder
  readonly direction: 'asc' | 'desc'
  readonly after: PageKey | null
  readonly before: PageKey | null
  readonly examinedMax: number
}

/**
 * SQL for the next `examinedMax` rows in the order of the list, along an index: the columns of message_states, `order_key` and
 * `order_id`. It has only those conditions that the index serves; the caller adds the others.
 */
export function walk(request: Walk, parameters: Parameters): string {
  return columnOf(request.order) === 'position'
    ? walkLog(request, parameters)
    : walkStates(request, parameters)
}

/** Returns whether nearly every row of the walk is a message of the list. Then there is no better way to read the list. */
export function isDense(filter: MessageFilter, order: MessageOrder): boolean {
  const given = new Set(
    Object.entries(filter).flatMap(([name, value]) => (value === undefined ? [] : [name])),
  )
  const statuses = branchesOf(filter, order)
  if (columnOf(order) === 'position') return given.size === 0
  given.delete(columnOf(order) === 'due_at' ? 'dueAt' : 'createdAt')
  if (statuses.kind === 'statuses') given.delete('statuses')
  if (statuses.kind === 'unknown') given.delete('outcomeUnknown')
  return given.size === 0
}

type Branches = { kind: 'all' } | { kind: 'unknown' } | { kind: 'statuses'; statuses: Status[] }

/** Returns which partial indexes have all messages of the list, in its order. */
function branchesOf(filter: MessageFilter, order: MessageOrder): Branches {
  const statuses = possibleStatuses(filter, order)
  const indexed: readonly Status[] = order === 'DUE_ASC' ? ['pending', 'failed'] : ['failed', 'dead_letter']
  if (statuses?.every((status) => indexed.includes(status)) === true) return { kind: 'statuses', statuses }
  return filter.outcomeUnknown === true ? { kind: 'unknown' } : { kind: 'all' }
}

function walkStates(request: Walk, parameters: Parameters): string {
  const { filter, order, direction, examinedMax } = request
  const column = columnOf(order)
  const ordered = `order by order_key ${direction}, order_id ${direction} limit ${examinedMax}`
  const range =
    column === 'due_at'
      ? within('m.due_at', filter.dueAt, parameters)
      : createdWithin('m', filter.createdAt, parameters)
  const limits = [...range, ...between(order, request, `m.${column}, m.message_id`, parameters)]
  const branch = (conditions: string[]) =>
    `select m.*, m.${column} as order_key, m.message_id as order_id from message_states m
     ${where([...conditions, ...limits])} ${ordered}`
  const branches = branchesOf(filter, order)
  switch (branches.kind) {
    case 'all':
      return branch([])
    case 'unknown':
      return branch(['m.outcome_unknown'])
    case 'statuses': {
      if (branches.statuses.length === 0) return branch(['false'])
      const each = branches.statuses.map(
        (status) =>
          `(${branch([`m.queue = '${status}'`, ...(column === 'due_at' ? ['m.due_at is not null'] : [])])})`,
      )
      return each.length === 1
        ? (each[0] ?? '')
        : `select u.* from (${each.join(' union all ')}) u ${ordered}`
    }
  }
}

/** Walks the log by position. A message counts where its last event is. */
function walkLog({ order, direction, after, before, examinedMax }: Walk, parameters: Parameters): string {
  const [above, below] = order.endsWith('_DESC') ? [before, after] : [after, before]
  const add = (value: string): string => parameters.add(value, 'bigint')
  return `select m.*, e.log_position as order_key, e.message_id as order_id
    from walk_positions(
      in_above_position => ${add(above?.key ?? '0')}, in_above_message_id => ${add(above?.messageId ?? '0')},
      in_below_position => ${add(below?.key ?? bigintMax)}, in_below_message_id => ${add(below?.messageId ?? bigintMax)},
      in_descending => ${direction === 'desc'}, in_rows_max => ${examinedMax}
    ) e
    left join lateral (
      select t.* from message_states t where t.message_id = e.message_id and t.position = e.log_position limit 1
    ) m on true`
}

function where(conditions: readonly string[]): string {
  return conditions.length === 0 ? '' : `where ${conditions.join(' and ')}`
}
