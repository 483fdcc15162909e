import { expunge, type ExpungeAnswer, type ExpungeRequest } from '../../../log/write/expunge.ts'
import { ask, DatabaseUnavailable } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { refuse } from '../errors.ts'
import { requireOperator } from '../require-role.ts'
import { ExpungeResult } from './expunge-result.ts'
import { loadersOf } from './loaders-of.ts'

builder.mutationField('expunge', (t) =>
  t.field({
    type: ExpungeResult,
    description:
      'Takes the bytes, the key and the headers of a success or a dead letter out of the database for good; hash, size and history stay. Its conflicts keep theirs: each is expunged by its own id. It cannot be undone, and the message can never be replayed. Asked again, it does nothing more. reason: 1 to 2,048 bytes.',
    args: {
      transactionId: t.arg.id({ required: true, description: 'The message to expunge.' }),
      reason: t.arg.string({
        required: true,
        description: 'Why; it stands in the log for ever, so name no person in it.',
      }),
    },
    resolve: async (_, { transactionId, reason }, context) => {
      const actor = requireOperator('expunge', reason, context)
      const answer = await act({ transactionId, actor, reason }, context)
      // What an earlier mutation of this operation has loaded is older than this one.
      loadersOf(context).forget()
      context.dependencies.logger.info(
        { transaction_id: transactionId.slice(0, 255), operator: actor, answer: answer.kind },
        'expunge',
      )
      return { ...answer, transactionId }
    },
  }),
)

async function act(
  request: ExpungeRequest,
  { dependencies: { database, logger } }: GraphContext,
): Promise<ExpungeAnswer> {
  try {
    return await ask(database, (client) => expunge(client, request))
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error
    logger.warn(
      {
        transaction_id: request.transactionId.slice(0, 255),
        operator: request.actor,
        reason: error.message,
      },
      'expunge failed',
    )
    throw refuse(
      'DATABASE_UNAVAILABLE',
      'The database did not answer, and the message may have been expunged all the same: the mutation can safely be sent again.',
    )
  }
}
