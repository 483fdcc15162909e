import { isStorable } from '../../../log/read/is-storable.ts'
import type { EventFilter as LogFilter } from '../../../log/read/read-events.ts'
import type { EventType as EventTypeValue } from '../../../message/message.ts'
import type { OutcomeKind as OutcomeKindValue } from '../../../message/outcome.ts'
import { builder } from '../builder.ts'
import { EventType, OutcomeKind } from '../enums.ts'
import { refuse } from '../errors.ts'
import { TimeRange, type TimeRangeInput } from '../time-range.ts'

export type EventFilterInput = {
  types?: readonly EventTypeValue[] | null | undefined
  outcomes?: readonly OutcomeKindValue[] | null | undefined
  transactionIds?: readonly string[] | null | undefined
  actor?: string | null | undefined
  recordedAt?: TimeRangeInput | null | undefined
}

export const EventFilter = builder.inputRef<EventFilterInput>('EventFilter').implement({
  description: 'A subscription refuses recordedAt.',
  fields: (t) => ({
    types: t.field({ type: [EventType], description: 'Events of any of these types.' }),
    outcomes: t.field({ type: [OutcomeKind], description: 'Events that carry any of these outcomes.' }),
    transactionIds: t.idList({ description: 'Events of any of these messages, at most 1,000.' }),
    actor: t.string({
      description: "Events of exactly this actor: an instance and lane, or an operator's name.",
    }),
    recordedAt: t.field({ type: TimeRange, description: 'Events recorded within this range.' }),
  }),
})

const idsMax = 1_000

/**
 * The filter as the log's reader takes it.
 *
 * @throws BAD_USER_INPUT with the fix
 */
export function readEventFilter(input: EventFilterInput | null | undefined): LogFilter {
  const { types, outcomes, transactionIds, actor, recordedAt } = input ?? {}
  return {
    types: readList('types', types),
    outcomes: readList('outcomes', outcomes),
    transactionIds: readIds(transactionIds),
    actor: actor === null || actor === undefined ? undefined : readText('actor', actor),
    ...readRange('recordedAt', recordedAt, (recordedFrom, recordedTo) => ({ recordedFrom, recordedTo })),
  }
}

/** An empty list is more often a mistake than a wish to see nothing. */
export function readList<Value>(
  name: string,
  list: readonly Value[] | null | undefined,
): Value[] | undefined {
  if (list === null || list === undefined) return undefined
  if (list.length > 0) return [...new Set(list)]
  throw refuse('BAD_USER_INPUT', `${name} is empty: name at least one, or leave it out.`)
}

/** Ids that no message can have are left out; they match nothing. */
export function readIds(ids: readonly string[] | null | undefined): string[] | undefined {
  const given = readList('transactionIds', ids)
  if (given !== undefined && given.length > idsMax) {
    throw refuse('BAD_USER_INPUT', `transactionIds may name at most ${idsMax}: split the list.`)
  }
  return given?.filter(isStorable)
}

export function readText(name: string, text: string): string {
  if (text !== '' && isStorable(text)) return text
  throw refuse('BAD_USER_INPUT', `${name} must be text without NUL, and not empty.`)
}

export function readRange<Range>(
  name: string,
  range: TimeRangeInput | null | undefined,
  bind: (from: string | undefined, to: string | undefined) => Range,
): Range {
  const from = range?.from ?? undefined
  const to = range?.to ?? undefined
  if (from !== undefined && to !== undefined && from >= to) {
    throw refuse('BAD_USER_INPUT', `${name}.from must lie before ${name}.to: to is exclusive.`)
  }
  return bind(from, to)
}
