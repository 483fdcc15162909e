import {
  decideMessage,
  type DecisionAnswer,
  type DecisionRequest,
  type MessageDecision,
} from '../../../log/write/decide-message.ts'
import { evidenceBytesMax, isLine } from '../../../message/is-line.ts'
import { ask, DatabaseUnavailable } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { Resolution } from '../enums.ts'
import { refuse, refuseText } from '../errors.ts'
import { requireOperator } from '../require-role.ts'
import { DecisionResult } from './decision-result.ts'
import { loadersOf } from './loaders-of.ts'

const why = 'Why; it stands in the log for ever. 1 to 2,048 bytes.'

const simple = {
  hold: 'Keeps a PENDING or FAILED message from being attempted, on every instance, until it is released. Its status stays.',
  release: 'Ends a hold: a PENDING message is due at once, a FAILED one when its backoff is over.',
  cancel:
    'Makes a PENDING or FAILED message, also one on hold, a dead letter of cause CANCELLED without another attempt. It can be replayed.',
  reopen: 'Opens a resolved dead letter again. Only then can it be replayed.',
} as const

for (const kind of ['hold', 'release', 'cancel'] as const) addSimple(kind)

builder.mutationField('resolve', (t) =>
  t.field({
    type: DecisionResult,
    description:
      'Closes a dead letter of any cause, rejected and conflicting records too: says what became of the payment. Its status stays DEAD_LETTER, and resolution says the rest.',
    args: {
      transactionId: t.arg.id({ required: true, description: 'The dead letter.' }),
      as: t.arg({ type: Resolution, required: true, description: 'What became of the payment.' }),
      reason: t.arg.string({ required: true, description: why }),
      evidence: t.arg.string({
        description:
          'What proves it, such as the number of a statement or a ticket: 1 to 2,048 bytes. It stands in the log for ever, so put no card number and no person in it.',
      }),
    },
    resolve: (_, { transactionId, as, reason, evidence = null }, context) => {
      if (evidence !== null && !isLine(evidence, evidenceBytesMax))
        throw refuseText('evidence', evidenceBytesMax)
      return decide(transactionId, { kind: 'resolve', as, evidence }, reason, context)
    },
  }),
)

addSimple('reopen')

function addSimple(kind: keyof typeof simple): void {
  builder.mutationField(kind, (t) =>
    t.field({
      type: DecisionResult,
      description: simple[kind],
      args: {
        transactionId: t.arg.id({ required: true, description: 'The message.' }),
        reason: t.arg.string({ required: true, description: why }),
      },
      resolve: (_, { transactionId, reason }, context) => decide(transactionId, { kind }, reason, context),
    }),
  )
}

async function decide(
  transactionId: string,
  decision: MessageDecision,
  reason: string,
  context: GraphContext,
): Promise<DecisionAnswer & { transactionId: string }> {
  const { kind } = decision
  const actor = requireOperator(kind, reason, context)
  const answer = await act({ transactionId, decision, actor, reason }, context)
  // What an earlier mutation of this operation has loaded is older than this one.
  loadersOf(context).forget()
  context.dependencies.logger.info(
    {
      transaction_id: transactionId.slice(0, 255),
      operator: actor,
      decision: kind,
      answer: answer.kind,
    },
    'decision',
  )
  return { ...answer, transactionId }
}

async function act(
  request: DecisionRequest,
  { dependencies: { database, logger } }: GraphContext,
): Promise<DecisionAnswer> {
  try {
    return await ask(database, (client) => decideMessage(client, request))
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error
    logger.warn(
      {
        transaction_id: request.transactionId.slice(0, 255),
        operator: request.actor,
        decision: request.decision.kind,
        reason: error.message,
      },
      'decision failed',
    )
    throw refuse(
      'DATABASE_UNAVAILABLE',
      'The database did not answer, and the decision may have been recorded all the same: look at the message first.',
    )
  }
}
