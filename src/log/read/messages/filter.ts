import {
  statuses as allStatuses,
  type DeadLetterCause,
  type Resolution,
  type Status,
} from '../../../message/message.ts'
import { isHeld } from '../message-row.ts'
import { causeOf, deadLetters } from '../read-details.ts'
import type { MessageOrder } from './order.ts'
import type { Parameters } from './parameters.ts'

/** `from` is inclusive, `to` exclusive. RFC 3339. */
export type Range = { readonly from?: string | undefined; readonly to?: string | undefined }

/** With the first and the last message id that a message created in the range can have: bigints as text, null if there was none. */
export type FoundRange = Range & { readonly firstId: string | null; readonly lastId: string | null }

/** A message must meet all conditions that are given. A list that is given is not empty, and no text has NUL. */
export type MessageFilter = {
  readonly statuses?: readonly Status[] | undefined
  readonly transactionIds?: readonly string[] | undefined
  readonly transactionIdPrefix?: string | undefined
  /** What the processor called the payment, in any answer. */
  readonly reference?: string | undefined
  readonly topic?: string | undefined
  readonly partition?: number | undefined
  /** Upper and lower case are the same. */
  readonly errorContains?: string | undefined
  readonly failurePattern?: string | undefined
  readonly lastStatusCodes?: readonly number[] | undefined
  readonly deadLetterCauses?: readonly DeadLetterCause[] | undefined
  readonly outcomeUnknown?: boolean | undefined
  /** On hold, or not. */
  readonly held?: boolean | undefined
  /** A dead letter that is resolved, or one that is open. */
  readonly resolved?: boolean | undefined
  /** A dead letter that is resolved as one of these. */
  readonly resolutions?: readonly Resolution[] | undefined
  readonly createdAt?: Range | undefined
  readonly updatedAt?: Range | undefined
  readonly dueAt?: Range | undefined
  readonly deadLetteredAt?: Range | undefined
  readonly retryCountMin?: number | undefined
  readonly retryCountMax?: number | undefined
}

/** A filter whose range of creation is found already (findCreated). */
export type FoundFilter = Omit<MessageFilter, 'createdAt'> & { readonly createdAt?: FoundRange | undefined }

/** Returns the statuses that a message can have under these conditions and in this order; null if it can have any. */
export function possibleStatuses(filter: MessageFilter, order: MessageOrder): Status[] | null {
  const waiting = order === 'DUE_ASC' || filter.dueAt !== undefined || filter.held === true
  const dead = [filter.deadLetterCauses, filter.deadLetteredAt, filter.resolved, filter.resolutions].some(
    (given) => given !== undefined,
  )
  if (filter.statuses === undefined && !waiting && !dead) return null
  return (filter.statuses ?? allStatuses).filter(
    (status) =>
      (!waiting || status === 'pending' || status === 'failed') && (!dead || status === 'dead_letter'),
  )
}

/** Returns whether a filter has a condition besides the statuses. */
export function hasMoreThanStatuses(filter: MessageFilter): boolean {
  return Object.entries(filter).some(([name, value]) => name !== 'statuses' && value !== undefined)
}

/** SQL for the conditions of a filter. `s` is a table or subquery with the columns of message_states. */
export function conditionsOf(
  filter: MessageFilter,
  order: MessageOrder,
  s: string,
  parameters: Parameters,
): string {
  const statuses = possibleStatuses(filter, order)
  const all = [
    statuses && `${s}.status = any (${parameters.add(statuses, 'text[]')})`,
    ...identityConditions(filter, s, parameters),
    ...failureConditions(filter, s, parameters),
    filter.outcomeUnknown !== undefined &&
      `${s}.outcome_unknown = ${parameters.add(filter.outcomeUnknown, 'boolean')}`,
    // What is on hold has no place in this order.
    order === 'DUE_ASC' && `${s}.due_at is not null`,
    ...decisionConditions(filter, s, parameters),
    ...within(`${s}.created_at`, filter.createdAt, parameters),
    ...within(`${s}.updated_at`, filter.updatedAt, parameters),
    ...within(`${s}.due_at`, filter.dueAt, parameters),
    ...within(
      `(select d.recorded_at from message_events d where d.message_id = ${s}.message_id and ${deadLetters('d')}
        order by d.version desc limit 1)`,
      filter.deadLetteredAt,
      parameters,
    ),
    filter.retryCountMin !== undefined &&
      `${s}.retry_count >= ${parameters.add(filter.retryCountMin, 'int')}`,
    filter.retryCountMax !== undefined &&
      `${s}.retry_count <= ${parameters.add(filter.retryCountMax, 'int')}`,
  ]
  const given = all.filter((condition) => typeof condition === 'string')
  return given.length === 0 ? 'true' : given.join('\n and ')
}

/** SQL for the conditions that a column lies in a range; none if there is no range. */
export function within(column: string, range: Range | undefined, parameters: Parameters): string[] {
  const conditions: string[] = []
  if (range?.from !== undefined) conditions.push(`${column} >= ${parameters.add(range.from, 'timestamptz')}`)
  if (range?.to !== undefined) conditions.push(`${column} < ${parameters.add(range.to, 'timestamptz')}`)
  return conditions
}

/** SQL for the conditions that a message was created in a range; none if there is no range. The first of them serve the primary key. */
export function createdWithin(s: string, range: FoundRange | undefined, parameters: Parameters): string[] {
  if (range?.from === undefined && range?.to === undefined) return []
  return [
    `${s}.message_id >= ${parameters.add(range.firstId, 'bigint')}`,
    `${s}.message_id <= ${parameters.add(range.lastId, 'bigint')}`,
    ...within(`${s}.created_at`, range, parameters),
  ]
}

/** SQL for the condition that a text begins with the prefix. It compares in byte order, which is the order of code points. */
export function startsWith(column: string, prefix: string, parameters: Parameters): string {
  const above = firstAbove(prefix)
  const from = `${column} >= ${parameters.add(prefix, 'text')} collate "C"`
  return above === null ? from : `${from} and ${column} < ${parameters.add(above, 'text')} collate "C"`
}

/** Returns the smallest text above all that begin with the prefix: the last code point that can be raised is raised by one. */
function firstAbove(prefix: string): string | null {
  const points = Array.from(prefix, (character) => character.codePointAt(0) ?? 0)
  while (points.at(-1) === 0x10ffff) points.pop()
  const last = points.pop()
  if (last === undefined) return null
  // Surrogates are no characters, and no text of PostgreSQL has them.
  return String.fromCodePoint(...points, last === 0xd7ff ? 0xe000 : last + 1)
}

function identityConditions(filter: MessageFilter, s: string, parameters: Parameters): string[] {
  const conditions: string[] = []
  if (filter.transactionIds !== undefined)
    conditions.push(
      `${s}.transaction_id = any (${parameters.add(filter.transactionIds, 'text[]')} collate "C")`,
    )
  if (filter.transactionIdPrefix !== undefined)
    conditions.push(startsWith(`${s}.transaction_id`, filter.transactionIdPrefix, parameters))
  if (filter.reference !== undefined)
    conditions.push(
      `exists (select from message_events f
        where f.message_id = ${s}.message_id and f.reference = ${parameters.add(filter.reference, 'text')})`,
    )
  const source = [
    filter.topic !== undefined && `f.topic = ${parameters.add(filter.topic, 'text')}`,
    filter.partition !== undefined && `f.partition = ${parameters.add(filter.partition, 'int')}`,
  ].filter((condition) => typeof condition === 'string')
  if (source.length > 0)
    conditions.push(
      `(select ${source.join(' and ')} from message_events f
        where f.message_id = ${s}.message_id and f.version = 1 limit 1)`,
    )
  return conditions
}

function decisionConditions(filter: MessageFilter, s: string, parameters: Parameters): string[] {
  const { held, resolved, resolutions } = filter
  const resolution = `(select k.resolution from decided_messages k where k.message_id = ${s}.message_id)`
  const conditions: string[] = []
  if (held !== undefined) conditions.push(`${isHeld(s)} = ${parameters.add(held, 'boolean')}`)
  if (resolved !== undefined) conditions.push(`${resolution} is ${resolved ? 'not null' : 'null'}`)
  if (resolutions !== undefined)
    conditions.push(`${resolution} = any (${parameters.add(resolutions, 'text[]')})`)
  return conditions
}

function failureConditions(filter: MessageFilter, s: string, parameters: Parameters): string[] {
  const conditions: string[] = []
  const { errorContains, failurePattern, lastStatusCodes, deadLetterCauses } = filter
  if (errorContains !== undefined)
    conditions.push(
      `position(lower(${parameters.add(errorContains, 'text')}) in lower(${s}.error_message)) > 0`,
    )
  if (failurePattern !== undefined)
    conditions.push(`failure_pattern(${s}.error_message) = ${parameters.add(failurePattern, 'text')}`)
  if (lastStatusCodes !== undefined)
    conditions.push(
      `(select o.status_code from message_events o where o.message_id = ${s}.message_id and o.outcome is not null
        order by o.version desc limit 1) = any (${parameters.add(lastStatusCodes, 'int[]')})`,
    )
  if (deadLetterCauses !== undefined)
    conditions.push(
      `(select ${causeOf('d')} from message_events d where d.message_id = ${s}.message_id and ${deadLetters('d')}
        order by d.version desc limit 1) = any (${parameters.add(deadLetterCauses, 'text[]')})`,
    )
  return conditions
}
