import type { LogEvent } from '../../../log/read/log-event.ts'
import type { EventType } from '../../../message/message.ts'
import { builder } from '../builder.ts'
import { Event } from './event.ts'
import { loadersOf } from './loaders-of.ts'

type Value = { readonly name: string; readonly url: string | null }

const AttemptDestination = builder.objectRef<Value>('AttemptDestination').implement({
  description: 'Where an attempt was sent.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The name of the destination; see destination.' }),
    url: t.exposeString('url', {
      nullable: true,
      description:
        'DOWNSTREAM_URL of the instance that made the attempt, as it was then, without user, password, query and fragment; null if it was an instance of an earlier release.',
    }),
  }),
})

/** Events whose actor made the attempt that they speak of. An attempt is abandoned by another instance than the one that made it. */
const types: ReadonlySet<EventType> = new Set([
  'attempt_started',
  'succeeded',
  'attempt_failed',
  'late_result_observed',
])

/** The instance that made the attempt that the event speaks of; null if it speaks of none. */
function senderOf({ type, lane, actor }: LogEvent): string | null {
  return lane !== null && types.has(type) ? actor.slice(0, actor.length - lane.length - 1) : null
}

builder.objectField(Event, 'destination', (t) =>
  t.field({
    type: AttemptDestination,
    nullable: true,
    description:
      'On ATTEMPT_STARTED, SUCCEEDED, ATTEMPT_FAILED and LATE_RESULT_OBSERVED: where the attempt was sent. It does not say that it arrived.',
    resolve: async (event, _, context) => {
      const sender = senderOf(event)
      if (sender === null) return null
      const found = await loadersOf(context).destinationUrl.load(sender)
      return { name: context.dependencies.destination.name, url: found?.url ?? null }
    },
  }),
)
