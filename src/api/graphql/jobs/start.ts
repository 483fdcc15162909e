import type { PoolClient } from 'pg'
import type { ReplayJob } from '../../../log/read/read-jobs.ts'
import { startReplay, startResolution, type StartAnswer } from '../../../log/write/steer-job.ts'
import { isLine, requestKeyBytesMax } from '../../../message/is-line.ts'
import { isPace, paceMax, paceMin, stopAfterMax, type StopWhen } from '../../../message/replay-job.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { isBigint } from '../cursor.ts'
import { Resolution } from '../enums.ts'
import { refuse, refuseText } from '../errors.ts'
import { requireOperator } from '../require-role.ts'
import { whileUnsure } from './while-unsure.ts'
import { findJob, JobResult, type JobRefused } from './job-result.ts'

const StopWhenInput = builder.inputRef<StopWhen>('StopWhen').implement({
  description: 'When a job stops by itself. It goes on when an operator resumes it.',
  fields: (t) => ({
    failedShare: t.float({
      required: true,
      description:
        'The share of the last ones that ended at which it stops, if they failed again: above 0, at most 1.',
    }),
    after: t.int({
      required: true,
      description: `How many that ended last it looks at; it does not stop before there are so many: 1 to ${stopAfterMax}.`,
    }),
  }),
})

builder.mutationField('startReplay', (t) =>
  t.field({
    type: JobResult,
    description:
      'Replays what was planned, each message once; its actor is this viewer. At most a tenth of the room for first attempts is the job’s at a time, so live payments go first.',
    args: {
      plan: t.arg.id({ required: true, description: 'The plan, at most an hour old.' }),
      perSecond: t.arg.float({
        description: 'Replays a second, 0.01 to 1,000,000; left out, as fast as the room allows.',
      }),
      rampFrom: t.arg.float({
        description: 'The pace to begin with; it doubles every 10 s until it is perSecond.',
      }),
      stopWhen: t.arg({
        type: StopWhenInput,
        description: 'When it stops by itself; left out, it does not.',
      }),
      confirmNotCarriedOut: t.arg.boolean({
        description:
          'You say of those in doubt whose key the processor may have forgotten (pastKeyWindow) that they were not carried out. Without it they are skipped.',
      }),
      reason: t.arg.string({
        description:
          'Why, 1 to 2,048 bytes; it stands in the log for ever. Left out, it is the reason of the plan.',
      }),
      idempotencyKey: t.arg.string({
        description:
          'A name for this request, 1 to 128 bytes: sent again with the same name and arguments, it answers with the same job.',
      }),
    },
    resolve: (_, { plan, ...given }, context) => {
      const pace = readPace(given)
      const stopWhen = readStop(given.stopWhen ?? null)
      const requestKey = given.idempotencyKey ?? null
      const confirmNotCarriedOut = given.confirmNotCarriedOut === true
      if (requestKey !== null && !isLine(requestKey, requestKeyBytesMax))
        throw refuseText('idempotencyKey', requestKeyBytesMax)
      const reason = given.reason ?? null
      const actor = requireOperator('start a replay', reason, context)
      return start('replay', plan, actor, context, (client) =>
        startReplay(client, {
          plan,
          actor,
          reason,
          ...pace,
          stopWhen,
          confirmNotCarriedOut,
          requestKey,
        }),
      )
    },
  }),
)

builder.mutationField('resolveMany', (t) =>
  t.field({
    type: JobResult,
    description:
      'Resolves what was planned, rejected and conflicting records too: a thousand dead letters are one decision. reason: 1 to 2,048 bytes.',
    args: {
      plan: t.arg.id({ required: true, description: 'The plan, at most an hour old.' }),
      as: t.arg({ type: Resolution, required: true, description: 'What became of the payments.' }),
      reason: t.arg.string({ required: true, description: 'Why; it stands in the log for ever.' }),
    },
    resolve: (_, { plan, as, reason }, context) => {
      const actor = requireOperator('resolve', reason, context)
      return start('resolve', plan, actor, context, (client) =>
        startResolution(client, { plan, actor, as, reason }),
      )
    },
  }),
)

type PaceGiven = { perSecond?: number | null | undefined; rampFrom?: number | null | undefined }

function readPace({ perSecond = null, rampFrom = null }: PaceGiven) {
  if (perSecond !== null && !isPace(perSecond))
    throw refuse('BAD_USER_INPUT', `perSecond must be from ${paceMin} to ${paceMax}.`)
  if (rampFrom !== null && (perSecond === null || !isPace(rampFrom) || rampFrom > perSecond))
    throw refuse('BAD_USER_INPUT', `rampFrom must be from ${paceMin} to perSecond, which it needs.`)
  return { perSecond, rampFrom }
}

function readStop(stop: StopWhen | null): StopWhen | null {
  if (stop === null) return null
  const { failedShare, after } = stop
  if (failedShare > 0 && failedShare <= 1 && after >= 1 && after <= stopAfterMax) return stop
  throw refuse(
    'BAD_USER_INPUT',
    `stopWhen takes a failedShare above 0 and at most 1, and after from 1 to ${stopAfterMax}.`,
  )
}

async function start(
  action: string,
  plan: string,
  actor: string,
  context: GraphContext,
  act: (client: PoolClient) => Promise<StartAnswer>,
): Promise<ReplayJob | JobRefused> {
  if (!isBigint(plan)) return { refusal: 'plan_unknown', id: plan }
  const { database, logger } = context.dependencies
  const line = { job: plan, operator: actor, action }
  return whileUnsure(line, context, async () => {
    const answer = await ask(database, act)
    logger.info({ ...line, answer }, 'replay job decision')
    switch (answer) {
      case 'started':
      case 'repeated':
        return findJob(plan, context)
      case 'unknown':
        return { refusal: 'plan_unknown', id: plan }
      case 'expired':
        return { refusal: 'plan_expired', id: plan }
      case 'already_started':
      case 'key_reused':
        return { refusal: answer, id: plan }
    }
  })
}
