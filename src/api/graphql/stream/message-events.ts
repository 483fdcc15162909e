import type { Delivery } from '../../stream/delivery.ts'
import type { EventsWanted } from '../../stream/follow-events.ts'
import { selectEvents } from '../../stream/select-events.ts'
import { builder } from '../builder.ts'
import { decodeLogCursor, encodeLogCursor } from '../cursor.ts'
import { refuse } from '../errors.ts'
import { EventFilter, readEventFilter, type EventFilterInput } from '../messages/event-filter.ts'
import { Event } from '../messages/event.ts'
import { readBounded } from '../read-bounded.ts'

const EventDelivery = builder.objectRef<Delivery>('EventDelivery').implement({
  description: 'An event as it comes, or only how far the subscriber has got.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Subscribe again after it, and nothing is missed and nothing comes twice.',
      resolve: ({ cursor }) => encodeLogCursor(cursor),
    }),
    node: t.field({
      type: Event,
      nullable: true,
      description: 'The event; null where only the cursor has moved on.',
      resolve: ({ event }) => event,
    }),
    caughtUp: t.exposeBoolean('caughtUp', {
      description: 'Whether the end of the log had been reached when this was read.',
    }),
  }),
})

type Arguments = {
  after?: string | null | undefined
  filter?: EventFilterInput | null | undefined
  positionsEverySeconds?: number | null | undefined
}

builder.subscriptionField('messageEvents', (t) =>
  t.field({
    type: EventDelivery,
    description: `Every event after the cursor, once, in commit-safe order; without a cursor, from the head. positionsEverySeconds (1 to 60, off by
default) adds deliveries without a node, so that a filtered client's cursor moves: the first at once, one on catching up, then
periodically. Ends with SLOW_CONSUMER, CURSOR_INVALID, CURSOR_EPOCH or CURSOR_EXPIRED, and with DRAINING when the instance is about to
stop. A client library's silent retry resends the first cursor: turn it off (retryAttempts: 0) and subscribe again after the last one,
as the playground's example shows.`,
    args: {
      after: t.arg.string({ description: 'A cursor of the log: of a delivery, of an event, or of head.' }),
      filter: t.arg({
        type: EventFilter,
        description:
          'All given conditions hold together; recordedAt is refused, because nobody knows the future.',
      }),
      positionsEverySeconds: t.arg.int({ description: 'From 1 to 60; left out, only events come.' }),
    },
    subscribe: (_, wanted, { streams, client }) => streams.events(client, readWanted(wanted)),
    resolve: (delivery) => delivery,
  }),
)

/** @throws GraphQLError with the fix */
function readWanted({ after, filter, positionsEverySeconds }: Arguments): EventsWanted {
  const cursor = after === null || after === undefined ? null : decodeLogCursor(after)
  if (after !== null && after !== undefined && cursor === null)
    throw refuse('CURSOR_INVALID', 'after is no cursor of the log: take one that this service handed out.')
  if (filter?.recordedAt !== null && filter?.recordedAt !== undefined)
    throw refuse('BAD_USER_INPUT', 'A subscription has no recordedAt: choose where it begins by after.')
  const everySeconds = positionsEverySeconds ?? null
  return {
    after: cursor,
    selection: selectEvents(readEventFilter(filter)),
    cursorsEveryMs:
      everySeconds === null ? null : 1_000 * readBounded('positionsEverySeconds', everySeconds, 1, 60),
  }
}
