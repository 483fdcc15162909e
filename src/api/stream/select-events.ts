import type { LogEvent } from '../../log/read/log-event.ts'
import type { EventFilter } from '../../log/read/read-events.ts'

/** A subscriber's filter. Those with the same key want the same events. */
export type Selection = {
  readonly key: string
  readonly filter: EventFilter
  readonly matches: (event: LogEvent) => boolean
}

/** The same choice that `readEvents` makes in SQL, for events that were read once for everyone. */
export function selectEvents({ types, outcomes, transactionIds, actor }: EventFilter): Selection {
  const [typeSet, outcomeSet, idSet] = [toSet(types), toSet(outcomes), toSet(transactionIds)]
  return {
    key: JSON.stringify([keyOf(typeSet), keyOf(outcomeSet), keyOf(idSet), actor ?? null]),
    filter: { types, outcomes, transactionIds, actor },
    matches: (event) =>
      (typeSet === null || typeSet.has(event.type)) &&
      (outcomeSet === null || (event.outcome !== null && outcomeSet.has(event.outcome))) &&
      (idSet === null || idSet.has(event.transactionId)) &&
      (actor === undefined || actor === event.actor),
  }
}

function toSet(values: readonly string[] | undefined): ReadonlySet<string> | null {
  return values === undefined ? null : new Set(values)
}

function keyOf(values: ReadonlySet<string> | null): string[] | null {
  return values === null ? null : [...values].sort()
}
