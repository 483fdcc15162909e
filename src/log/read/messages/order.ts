import { rfc3339 } from '../rfc3339.ts'
import type { Parameters } from './parameters.ts'

export const messageOrders = [
  'CREATED_DESC',
  'CREATED_ASC',
  'UPDATED_DESC',
  'UPDATED_ASC',
  'DUE_ASC',
] as const
export type MessageOrder = (typeof messageOrders)[number]

/** A place in an order: a time (RFC 3339) for DUE_ASC, the message for CREATED_*, a position for UPDATED_*; then the message. */
export type PageKey = { readonly key: string; readonly messageId: string }

type Direction = 'asc' | 'desc'

/** Returns the direction in which the index is read for a list, in its order or backwards. */
export function directionOf(order: MessageOrder, backwards: boolean): Direction {
  return order.endsWith('_DESC') === backwards ? 'asc' : 'desc'
}

/**
 * Returns the column of message_states that an order sorts by. Messages are created in the order of their ids, but for slices that
 * are stored at the same moment. An index on the time would cost each message two entries.
 */
export function columnOf(order: MessageOrder): 'message_id' | 'due_at' | 'position' {
  switch (order) {
    case 'CREATED_DESC':
    case 'CREATED_ASC':
      return 'message_id'
    case 'DUE_ASC':
      return 'due_at'
    case 'UPDATED_DESC':
    case 'UPDATED_ASC':
      return 'position'
  }
}

/** SQL that prints a key in the form of `PageKey`. */
export function printKey(order: MessageOrder, column: string): string {
  return columnOf(order) === 'due_at' ? rfc3339(column) : `${column}::text`
}

/** SQL for the conditions that a message lies between two places of the list, both excluded. */
export function between(
  order: MessageOrder,
  bounds: { readonly after: PageKey | null; readonly before: PageKey | null },
  columns: string,
  parameters: Parameters,
): string[] {
  const type = columnOf(order) === 'due_at' ? 'timestamptz' : 'bigint'
  const [later, earlier] = order.endsWith('_DESC') ? (['<', '>'] as const) : (['>', '<'] as const)
  const compare = (operator: '<' | '>', { key, messageId }: PageKey) =>
    `(${columns}) ${operator} (${parameters.add(key, type)}, ${parameters.add(messageId, 'bigint')})`
  return [
    ...(bounds.after === null ? [] : [compare(later, bounds.after)]),
    ...(bounds.before === null ? [] : [compare(earlier, bounds.before)]),
  ]
}
