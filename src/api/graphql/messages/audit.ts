import type { StateAsOf } from '../../../log/read/read-states-as-of.ts'
import { builder } from '../builder.ts'
import { MessageStatus, Resolution } from '../enums.ts'
import { readBounded } from '../read-bounded.ts'
import { Event } from './event.ts'
import { loadersOf } from './loaders-of.ts'
import { Message } from './message.ts'

const MessageState = builder.objectRef<StateAsOf & { readonly at: string }>('MessageState').implement({
  description: 'What a message was at an instant, by its log.',
  fields: (t) => ({
    status: t.expose('status', { type: MessageStatus, description: 'Where it was.' }),
    retryCount: t.exposeInt('retryCount', {
      description: 'Retries scheduled since it was received or last replayed.',
    }),
    attempts: t.exposeInt('attempts', { description: 'Attempts started by then.' }),
    version: t.exposeInt('version', { description: 'Of the last event by then.' }),
    errorMessage: t.exposeString('errorMessage', {
      nullable: true,
      description: "The last failure's reason; null if it had succeeded or was replayed.",
    }),
    nextDueAt: t.expose('nextDueAt', {
      type: 'DateTime',
      nullable: true,
      description:
        'When the next attempt could start; null while PROCESSING and when terminal. Null while held, too.',
    }),
    held: t.exposeBoolean('held', { description: 'Whether it was on hold.' }),
    resolution: t.expose('resolution', {
      type: Resolution,
      nullable: true,
      description: 'What it was resolved as by then; null if it was open, or no dead letter.',
    }),
    outcomeUnknown: t.exposeBoolean('outcomeUnknown', {
      description:
        'Whether any attempt had ended with no answer or was abandoned by then: it may have been carried out. Stays true after SUCCESS.',
    }),
    at: t.expose('at', { type: 'DateTime', description: 'The instant that was asked for.' }),
  }),
})

builder.objectFields(Message, (t) => ({
  history: t.field({
    type: [Event],
    nullable: true,
    description: 'The audit, by version; at most 1,000. The newest n: afterVersion = version − n.',
    args: {
      afterVersion: t.arg.int({
        defaultValue: 0,
        required: true,
        description: 'Only events with a higher version.',
      }),
      first: t.arg.int({ defaultValue: 200, required: true, description: 'At most 1,000.' }),
    },
    resolve: ({ messageId }, { afterVersion, first }, context) =>
      loadersOf(context)
        // Versions begin at 1, so anything below means all of them.
        .history(Math.max(0, afterVersion), readBounded('first', first, 0, 1_000))
        .load(messageId),
  }),
  asOf: t.field({
    type: MessageState,
    nullable: true,
    description:
      "Folded from the log, that instant included; null before it was received. Final for instants older than the head's.",
    args: { time: t.arg({ type: 'DateTime', required: true, description: 'The instant.' }) },
    resolve: async ({ messageId }, { time }, context) => {
      const state = await loadersOf(context).stateAsOf(time).load(messageId)
      return state === null ? null : { ...state, at: time }
    },
  }),
}))
