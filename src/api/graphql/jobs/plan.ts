import { countReplayable, readPlan, type ReplayPlan as Plan } from '../../../log/read/read-plan.ts'
import { planReplay, type PlanAnswer } from '../../../log/write/plan-replay.ts'
import { isPace, paceMax, paceMin } from '../../../message/replay-job.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { PlanRefusal } from '../enums.ts'
import { refuse } from '../errors.ts'
import { MessageFilter, readMessageFilter, type MessageFilterInput } from '../messages/message-filter.ts'
import { FailureReason } from '../metrics/failures.ts'
import { requireOperator } from '../require-role.ts'
import { whileUnsure } from './while-unsure.ts'
import { CauseCount, SkipCount } from './counted.ts'

// To read a million dead letters takes seconds. It is less than an operation may take.
const planMsMax = 9_500

const ReplayPlan = builder.objectRef<Plan>('ReplayPlan').implement({
  description:
    'The open dead letters that met the filter at one moment. They stay chosen, whatever comes later. startReplay and resolveMany take it, for an hour.',
  fields: (t) => ({
    id: t.exposeID('id', { description: 'Its number.' }),
    actor: t.exposeString('actor', { description: 'Who planned it.' }),
    reason: t.exposeString('reason', { description: 'Why.' }),
    count: t.expose('count', { type: 'BigInt', description: 'How many dead letters, exactly.' }),
    byPattern: t.field({
      type: [FailureReason],
      description: 'By the pattern of the last failure, the most frequent first, at most 100 patterns.',
      resolve: ({ byPattern }) => [...byPattern],
    }),
    byCause: t.field({
      type: [CauseCount],
      description: 'By why they are dead letters.',
      resolve: ({ byCause }) => [...byCause],
    }),
    outcomeUnknown: t.expose('outcomeUnknown', {
      type: 'BigInt',
      description: 'How many have an attempt with an unknown outcome: they may have been paid.',
    }),
    pastKeyWindow: t.expose('pastKeyWindow', {
      type: 'BigInt',
      description:
        'Of those, the ones whose idempotency key the processor may have forgotten (KEY_WINDOW). A replay skips them unless it is confirmed.',
    }),
    notReplayable: t.field({
      type: 'BigInt',
      description:
        'How many can never be sent, or were cancelled and the filter does not name that cause. A replay skips them; a resolution does not.',
      resolve: (plan) => String(BigInt(plan.count) - countReplayable(plan)),
    }),
    notReplayableBy: t.field({
      type: [SkipCount],
      description: 'The same by reason.',
      resolve: ({ notReplayable }) => [...notReplayable],
    }),
    estimateSeconds: t.float({
      description: 'How long a replay takes at this pace, if live payments leave it room.',
      args: { perSecond: t.arg.float({ required: true, description: 'Replays a second.' }) },
      resolve: (plan, { perSecond }) => {
        if (!isPace(perSecond))
          throw refuse('BAD_USER_INPUT', `perSecond must be from ${paceMin} to ${paceMax}.`)
        return Number(countReplayable(plan)) / perSecond
      },
    }),
    plannedAt: t.expose('plannedAt', { type: 'DateTime', description: 'When.' }),
    expiresAt: t.expose('expiresAt', {
      type: 'DateTime',
      description: 'Until when it can be started; then it is removed.',
    }),
  }),
})

type Refused = Exclude<PlanAnswer, { kind: 'planned' }>

const PlanRefused = builder.objectRef<Refused>('PlanRefused').implement({
  description: 'Nothing was planned.',
  fields: (t) => ({
    refusal: t.expose('kind', { type: PlanRefusal, description: 'Why.' }),
    text: t.string({
      description: 'A sentence for people.',
      resolve: ({ kind }) =>
        kind === 'nothing'
          ? 'No open dead letter meets the filter.'
          : 'Another plan is being made: try again in a few seconds.',
    }),
  }),
})

const PlanResult = builder.unionType('PlanResult', {
  description: 'May grow: keep a default branch.',
  types: [ReplayPlan, PlanRefused],
  resolveType: (result) => ('kind' in result ? PlanRefused : ReplayPlan),
})

builder.mutationField('planReplay', (t) =>
  t.field({
    type: PlanResult,
    description:
      'Chooses the open dead letters that meet the filter now, and counts them; nothing is replayed yet. reason: 1 to 2,048 bytes.',
    args: {
      filter: t.arg({
        type: MessageFilter,
        required: true,
        description: 'Which open dead letters.',
      }),
      reason: t.arg.string({ required: true, description: 'Why; it stands in the log for ever.' }),
    },
    resolve: (_, { filter, reason }, context) => plan(filter, reason, context),
  }),
)

async function plan(
  given: MessageFilterInput,
  reason: string,
  context: GraphContext,
): Promise<Plan | Refused> {
  const { dependencies } = context
  const actor = requireOperator('plan a replay', reason, context)
  const filter = readMessageFilter({ ...given, status: given.status ?? ['dead_letter'] })
  return whileUnsure({ operator: actor, action: 'plan' }, context, async () => {
    const answer = await ask(
      dependencies.database,
      (client) => planReplay(client, { filter, given, actor, reason }),
      planMsMax,
    )
    dependencies.logger.info(
      { operator: actor, answer: answer.kind, ...(answer.kind === 'planned' && { job: answer.id }) },
      'replay plan',
    )
    if (answer.kind !== 'planned') return answer
    const found = await ask(dependencies.database, (client) => readPlan(client, answer.id))
    if (found === null) throw new Error(`plan ${answer.id} is gone`)
    return found
  })
}
