import { replayMany, type ReplayAnswer } from '../../../log/write/replay.ts'
import { isLine, requestKeyBytesMax } from '../../../message/is-line.ts'
import { jobKeyPrefix } from '../../../message/replay-job.ts'
import { ask, DatabaseUnavailable } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { refuse, refuseText } from '../errors.ts'
import { requireOperator } from '../require-role.ts'
import { loadersOf } from './loaders-of.ts'
import { ReplayResult } from './replay-result.ts'

const idsMax = 1_000

type Arguments = {
  reason: string
  idempotencyKey?: string | null | undefined
  confirmNotCarriedOut?: boolean | null | undefined
}

const confirmation =
  'Needed of a message that may have been carried out and whose key the processor may have forgotten: you have asked the processor, and it was not carried out. Kept in the replayed event.'

builder.mutationField('replay', (t) =>
  t.field({
    type: ReplayResult,
    description:
      'reason: 1 to 2,048 bytes. idempotencyKey: 1 to 128 bytes, for this viewer and message, kept in the replayed event: it binds an accepted replay for ever; a refusal leaves no trace, so its key may be used again.',
    args: {
      transactionId: t.arg.id({ required: true, description: 'The dead letter to open again.' }),
      reason: t.arg.string({ required: true, description: 'Why; it stands in the log for ever.' }),
      idempotencyKey: t.arg.string({
        description:
          'A name for this request: sent again with the same name and reason, nothing more is done.',
      }),
      confirmNotCarriedOut: t.arg.boolean({ defaultValue: false, description: confirmation }),
    },
    resolve: async (_, { transactionId, ...request }, context) => {
      const [result] = await replayAll([transactionId], request, context)
      if (result === undefined) throw new Error('one id has one result')
      return result
    },
  }),
)

builder.mutationField('replayMany', (t) =>
  t.field({
    type: [ReplayResult],
    description: 'Up to 1,000, one result each, in order; each stands for itself.',
    args: {
      transactionIds: t.arg.idList({
        required: true,
        description: 'The dead letters to open again, at most 1,000.',
      }),
      reason: t.arg.string({ required: true, description: 'Why; it stands in the log for ever.' }),
      idempotencyKey: t.arg.string({
        description: 'A name for this request, for each message of its own.',
      }),
      confirmNotCarriedOut: t.arg.boolean({ defaultValue: false, description: confirmation }),
    },
    resolve: (_, { transactionIds, ...request }, context) => {
      if (transactionIds.length > 0 && transactionIds.length <= idsMax)
        return replayAll(transactionIds, request, context)
      throw refuse('BAD_USER_INPUT', `transactionIds must name from 1 to ${idsMax} messages: split the list.`)
    },
  }),
)

async function replayAll(
  transactionIds: readonly string[],
  { reason, idempotencyKey, confirmNotCarriedOut }: Arguments,
  context: GraphContext,
): Promise<(ReplayAnswer & { transactionId: string })[]> {
  const actor = requireOperator('replay', reason, context)
  const requestKey = idempotencyKey ?? null
  if (requestKey !== null && !isLine(requestKey, requestKeyBytesMax))
    throw refuseText('idempotencyKey', requestKeyBytesMax)
  if (requestKey?.startsWith(jobKeyPrefix) === true)
    throw refuse('BAD_USER_INPUT', `idempotencyKey must not begin with ${jobKeyPrefix}`)
  const request = {
    actor,
    reason,
    requestKey,
    confirmNotCarriedOut: confirmNotCarriedOut === true,
  }
  const answers = await act(transactionIds, request, context)
  // What an earlier mutation of this operation has loaded is older than this one.
  loadersOf(context).forget()
  return answers.map((answer, at) => {
    const transactionId = transactionIds[at] ?? ''
    context.dependencies.logger.info(
      { transaction_id: transactionId.slice(0, 255), operator: actor, answer: answer.kind },
      'replay',
    )
    return { ...answer, transactionId }
  })
}

async function act(
  transactionIds: readonly string[],
  request: Parameters<typeof replayMany>[2],
  { dependencies: { database, logger, keyWindow } }: GraphContext,
): Promise<ReplayAnswer[]> {
  try {
    return await ask(database, (client) => replayMany(client, transactionIds, request, keyWindow))
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error
    logger.warn(
      { messages: transactionIds.length, operator: request.actor, reason: error.message },
      'replay failed',
    )
    throw refuse(
      'DATABASE_UNAVAILABLE',
      'The database did not answer, and the replay may have been recorded all the same: with an idempotencyKey it can safely be sent again.',
    )
  }
}
