import type { DeadLetterCause, Status } from '../../../message/message.ts'
import type { GraphContext } from '../create-context.ts'
import { findMessage } from './find-message.ts'
import { loadersOf } from './loaders-of.ts'
import { Message } from './message.ts'

type Named = { readonly transactionId: string }

/** The field `message` of what a mutation answers about the message that it was given. */
export const namedMessage = {
  type: Message,
  nullable: true,
  description: 'As it stands now.',
  resolve: ({ transactionId }: Named, _: unknown, context: GraphContext) =>
    findMessage(transactionId, context),
} as const

/** Resolves why that message is a dead letter; null if it was none. */
export async function resolveCause(
  { transactionId, status }: Named & { readonly status: Status },
  _: unknown,
  context: GraphContext,
): Promise<DeadLetterCause | null | undefined> {
  if (status !== 'dead_letter') return null
  const message = await findMessage(transactionId, context)
  if (message === null) return null
  return (await loadersOf(context).details.load(message.messageId))?.deadLetterCause
}
