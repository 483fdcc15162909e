import type { MessageFilter as LogFilter } from '../../../log/read/messages/filter.ts'
import type {
  DeadLetterCause as CauseValue,
  Resolution as ResolutionValue,
  Status,
} from '../../../message/message.ts'
import { builder } from '../builder.ts'
import { DeadLetterCause, MessageStatus, Resolution } from '../enums.ts'
import { refuse } from '../errors.ts'
import { TimeRange, type TimeRangeInput } from '../time-range.ts'
import { readIds, readList, readRange, readText } from './event-filter.ts'

type Given<Value> = Value | null | undefined

export type MessageFilterInput = {
  status?: Given<readonly Status[]>
  transactionIds?: Given<readonly string[]>
  transactionIdPrefix?: Given<string>
  reference?: Given<string>
  topic?: Given<string>
  partition?: Given<number>
  errorContains?: Given<string>
  failurePattern?: Given<string>
  lastStatusCode?: Given<readonly number[]>
  deadLetterCause?: Given<readonly CauseValue[]>
  outcomeUnknown?: Given<boolean>
  held?: Given<boolean>
  resolved?: Given<boolean>
  resolution?: Given<readonly ResolutionValue[]>
  createdAt?: Given<TimeRangeInput>
  updatedAt?: Given<TimeRangeInput>
  dueAt?: Given<TimeRangeInput>
  deadLetteredAt?: Given<TimeRangeInput>
  retryCountMin?: Given<number>
  retryCountMax?: Given<number>
}

export const MessageFilter = builder.inputRef<MessageFilterInput>('MessageFilter').implement({
  description:
    'All given conditions hold together. errorContains needs FAILED or DEAD_LETTER, or at most 24 h of createdAt; transactionIdPrefix at least 3 bytes, % and _ literal; transactionIds at most 1,000. A refusal names the fix.',
  fields: (t) => ({
    status: t.field({ type: [MessageStatus], description: 'Any of these statuses.' }),
    transactionIds: t.idList({ description: 'Any of these ids, at most 1,000.' }),
    transactionIdPrefix: t.string({ description: 'Ids that begin so; at least 3 bytes.' }),
    reference: t.string({
      description:
        'An answer of the processor called the payment exactly so (REFERENCE); several payments may have it.',
    }),
    topic: t.string({ description: 'First stored from this topic.' }),
    partition: t.int({ description: 'First stored from this partition, of whichever topic.' }),
    errorContains: t.string({
      description: "The last failure's reason contains this text, whatever the case of its letters.",
    }),
    failurePattern: t.string({ description: 'The last failure has exactly this pattern; see topFailures.' }),
    lastStatusCode: t.intList({ description: 'The last ended attempt got any of these HTTP statuses.' }),
    deadLetterCause: t.field({
      type: [DeadLetterCause],
      description: 'Dead letters for any of these causes.',
    }),
    outcomeUnknown: t.boolean({
      description:
        'Whether the outcome of any attempt is unknown, or it was abandoned: those may have been paid.',
    }),
    held: t.boolean({ description: 'Whether an operator has put it on hold.' }),
    resolved: t.boolean({ description: 'Dead letters that are resolved (true), or open (false).' }),
    resolution: t.field({
      type: [Resolution],
      description: 'Dead letters that are resolved as any of these.',
    }),
    createdAt: t.field({ type: TimeRange, description: 'First stored within this range.' }),
    updatedAt: t.field({ type: TimeRange, description: 'Last changed within this range.' }),
    dueAt: t.field({ type: TimeRange, description: 'Waiting for an attempt that is due within this range.' }),
    deadLetteredAt: t.field({ type: TimeRange, description: 'Dead letters since a time within this range.' }),
    retryCountMin: t.int({ description: 'At least so many retries scheduled.' }),
    retryCountMax: t.int({ description: 'At most so many retries scheduled.' }),
  }),
})

/**
 * The filter as the log's reader takes it.
 *
 * @throws BAD_USER_INPUT with the fix
 */
export function readMessageFilter(input: Given<MessageFilterInput>, now: Date = new Date()): LogFilter {
  const given = input ?? {}
  const filter: LogFilter = {
    statuses: readList('status', given.status),
    transactionIds: readIds(given.transactionIds),
    transactionIdPrefix: readOptional(given.transactionIdPrefix, readPrefix),
    reference: readOptional(given.reference, (text) => readText('reference', text)),
    topic: readOptional(given.topic, (text) => readText('topic', text)),
    partition: given.partition ?? undefined,
    errorContains: readOptional(given.errorContains, (text) => readText('errorContains', text)),
    failurePattern: readOptional(given.failurePattern, (text) => readText('failurePattern', text)),
    lastStatusCodes: readList('lastStatusCode', given.lastStatusCode),
    deadLetterCauses: readList('deadLetterCause', given.deadLetterCause),
    outcomeUnknown: given.outcomeUnknown ?? undefined,
    held: given.held ?? undefined,
    resolved: given.resolved ?? undefined,
    resolutions: readList('resolution', given.resolution),
    createdAt: readOpenRange('createdAt', given.createdAt),
    updatedAt: readOpenRange('updatedAt', given.updatedAt),
    dueAt: readOpenRange('dueAt', given.dueAt),
    deadLetteredAt: readOpenRange('deadLetteredAt', given.deadLetteredAt),
    retryCountMin: given.retryCountMin ?? undefined,
    retryCountMax: given.retryCountMax ?? undefined,
  }
  const { retryCountMin, retryCountMax } = filter
  if (retryCountMin !== undefined && retryCountMax !== undefined && retryCountMin > retryCountMax) {
    throw refuse('BAD_USER_INPUT', 'retryCountMin must not be above retryCountMax.')
  }
  requireBoundedErrors(filter, now)
  return filter
}

function readOptional<Value, Result>(
  value: Given<Value>,
  read: (value: Value) => Result,
): Result | undefined {
  return value === null || value === undefined ? undefined : read(value)
}

function readPrefix(text: string): string {
  const prefix = readText('transactionIdPrefix', text)
  if (Buffer.byteLength(prefix) >= 3) return prefix
  throw refuse('BAD_USER_INPUT', 'transactionIdPrefix must have at least 3 bytes: give more of the id.')
}

function readOpenRange(name: string, range: Given<TimeRangeInput>) {
  return readRange(name, range, (from, to) =>
    from === undefined && to === undefined ? undefined : { from, to },
  )
}

const dayMs = 24 * 3_600_000

/** A text is looked for in each error in turn, so there must be a bound to how many there are. */
function requireBoundedErrors({ errorContains, statuses, createdAt }: LogFilter, now: Date): void {
  if (errorContains === undefined) return
  if (statuses?.every((status) => status === 'failed' || status === 'dead_letter') === true) return
  const to = createdAt?.to === undefined ? now.getTime() : Date.parse(createdAt.to)
  if (createdAt?.from !== undefined && to - Date.parse(createdAt.from) <= dayMs) return
  throw refuse(
    'BAD_USER_INPUT',
    'errorContains needs status FAILED or DEAD_LETTER, or a createdAt range of at most 24 hours: add one of them.',
  )
}
