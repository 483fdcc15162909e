import {
  readFailures,
  type FailureReason as FailureReasonRow,
} from '../../../log/read/rollups/read-failures.ts'
import { builder } from '../builder.ts'
import { loadersOf } from '../messages/loaders-of.ts'
import { Message } from '../messages/message.ts'
import { readBounded } from '../read-bounded.ts'
import type { MetricsSnapshot } from './take-snapshot.ts'
import { readWindow, type Window } from './window.ts'

const reasonsMax = 100

export const FailureReason = builder.objectRef<FailureReasonRow>('FailureReason').implement({
  description: 'At most 3 examples.',
  fields: (t) => ({
    pattern: t.exposeString('pattern', {
      description: 'The reason with ids and numbers taken out; the filter failurePattern finds its messages.',
    }),
    count: t.expose('count', {
      type: 'BigInt',
      description:
        'Failed and abandoned attempts, and rejected records, with this reason; in a plan, its dead letters.',
    }),
    firstAt: t.expose('firstAt', {
      type: 'DateTime',
      description: 'Where the first minute of the range begins in which it came.',
    }),
    lastAt: t.expose('lastAt', { type: 'DateTime', description: 'When it last came.' }),
    trend: t.expose('trend', {
      type: ['BigInt'],
      description: 'How often it came in each twelfth of the range, oldest first.',
    }),
    examples: t.field({
      type: [Message],
      description: 'The newest messages that it came to.',
      resolve: async ({ examples }, _, context) => {
        const found = await Promise.all(examples.map((id) => loadersOf(context).message.load(id)))
        return found.filter((message) => message !== null)
      },
    }),
  }),
})

/** @throws BAD_USER_INPUT */
export async function resolveFailures(
  snapshot: MetricsSnapshot,
  { first, ...window }: Window & { first: number },
): Promise<FailureReasonRow[]> {
  const rowsMax = readBounded('first', first, 0, reasonsMax)
  const minutes = await readWindow(snapshot, window)
  return snapshot.read((client) => readFailures(client, minutes, rowsMax))
}
