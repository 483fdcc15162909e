import type { Pool } from 'pg'
import { countByStatus } from '../count-by-status.ts'
import { messageColumns, readMessageRow, type MessageRow, type StateRow } from '../message-row.ts'
import { conditionsOf, type FoundFilter, type MessageFilter } from './filter.ts'
import { findCreated } from './find-created.ts'
import { between, columnOf, directionOf, printKey, type MessageOrder, type PageKey } from './order.ts'
import { Parameters } from './parameters.ts'
import { findSmallSource, type Source } from './find-small-source.ts'
import { isDense, walk } from './walk.ts'

export type MessagesRequest = {
  readonly filter: MessageFilter
  readonly order: MessageOrder
  readonly after: PageKey | null
  readonly before: PageKey | null
  /** Reads from the end of the range to its start, and returns the messages in that direction. */
  readonly backwards: boolean
  readonly rowsMax: number
  /** The largest number of rows that a walk along an index looks at. */
  readonly examinedMax: number
  /** A set of at most this many messages is read whole, filtered and sorted. */
  readonly smallMax: number
}

export type MessagePlace = { readonly message: MessageRow; readonly place: PageKey }

export type MessagesAnswer = {
  readonly found: MessagePlace[]
  /** Where the walk stopped because it had looked at enough rows; null if it did not stop. */
  readonly stoppedAt: PageKey | null
}

/**
 * Reads a page of the messages that meet a filter, in an order. If a small set holds them all, it is read whole and sorted.
 * Otherwise the index of the order is walked, and the walk stops after `examinedMax` rows, however few messages it found.
 * Nothing scans the table.
 */
export async function listMessages(
  database: Pick<Pool, 'query'>,
  request: MessagesRequest,
): Promise<MessagesAnswer> {
  const { order } = request
  const filter = await findCreated(database, request.filter)
  const asked = { ...request, filter }
  const source = isDense(filter, order)
    ? null
    : await findSmallSource(database, filter, order, await countByStatus(database), request.smallMax)
  const { text, values } = source === null ? walkStatement(asked) : sortStatement(asked, source)
  const { rows } = await database.query<Row>(text, values)
  const stop = rows.find((row) => Number(row.place) === request.examinedMax)
  const found = rows.filter((row) => row.matches).slice(0, request.rowsMax)
  return {
    found: found.map((row) => ({ message: readMessageRow(row), place: placeOf(row) })),
    stoppedAt: stop === undefined ? null : placeOf(stop),
  }
}

type Row = StateRow & { order_key: string; order_id: string; matches: boolean; place: string | null }

function placeOf({ order_key: key, order_id: messageId }: Row): PageKey {
  return { key, messageId }
}

type FoundRequest = MessagesRequest & { readonly filter: FoundFilter }

type Statement = { text: string; values: unknown[] }

/** Has no name, so it is not prepared: its parts make too many statements, and the planner should see the values. */
function walkStatement(request: FoundRequest): Statement {
  const { filter, order, backwards, examinedMax, rowsMax } = request
  const parameters = new Parameters()
  const direction = directionOf(order, backwards)
  const ordered = `order by c.order_key ${direction}, c.order_id ${direction}`
  const text = `select ${messageColumns('c')}, ${printKey(order, 'c.order_key')} as order_key, c.order_id, c.matches, c.place
    from (
      select c.*, row_number() over (${ordered}) as place,
        c.message_id is not null and coalesce(${conditionsOf(filter, order, 'c', parameters)}, false) as matches
      from (${walk({ ...request, direction }, parameters)}) c
    ) c
    where c.matches or c.place = ${examinedMax}
    ${ordered} limit ${rowsMax}`
  return { text, values: parameters.values }
}

function sortStatement(request: FoundRequest, source: Source): Statement {
  const { filter, order, backwards, rowsMax } = request
  const parameters = new Parameters()
  const column = columnOf(order)
  const direction = directionOf(order, backwards)
  const conditions = [
    conditionsOf(filter, order, 's', parameters),
    ...between(order, request, `s.${column}, s.message_id`, parameters),
  ]
  const text = `select ${messageColumns('s')}, ${printKey(order, `s.${column}`)} as order_key, s.message_id as order_id,
      true as matches, null as place
    from (${source(parameters)}) s
    where ${conditions.join(' and ')}
    order by s.${column} ${direction}, s.message_id ${direction} limit ${rowsMax}`
  return { text, values: parameters.values }
}
