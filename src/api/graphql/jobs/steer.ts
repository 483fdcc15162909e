import type { ReplayJob } from '../../../log/read/read-jobs.ts'
import { steerJob, type JobDecision } from '../../../log/write/steer-job.ts'
import { isPace, paceMax, paceMin } from '../../../message/replay-job.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { isBigint } from '../cursor.ts'
import { refuse } from '../errors.ts'
import { requireOperator } from '../require-role.ts'
import { whileUnsure } from './while-unsure.ts'
import { findJob, JobResult, type JobRefused } from './job-result.ts'

const why = 'Why; it stands in the log for ever. 1 to 2,048 bytes.'

const simple = {
  pauseReplay: {
    kind: 'pause',
    text: 'The job replays nothing more until it is resumed. What it has already replayed is sent as usual.',
  },
  resumeReplay: {
    kind: 'resume',
    text: 'A PAUSED or STOPPED job continues. Its pace rises again from the beginning, and its stop counts again from 0.',
  },
  abortReplay: {
    kind: 'abort',
    text: 'Ends the job for good; the dead letters that are left stay as they are. What it has already replayed is sent as usual.',
  },
} as const

addSimple('pauseReplay')
addSimple('resumeReplay')

builder.mutationField('changePace', (t) =>
  t.field({
    type: JobResult,
    description: 'Gives the job another pace at once; it does not rise any more.',
    args: {
      job: t.arg.id({ required: true, description: 'The job.' }),
      perSecond: t.arg.float({ required: true, description: 'Replays a second, 0.01 to 1,000,000.' }),
      reason: t.arg.string({ required: true, description: why }),
    },
    resolve: (_, { job, perSecond, reason }, context) => {
      if (!isPace(perSecond))
        throw refuse('BAD_USER_INPUT', `perSecond must be from ${paceMin} to ${paceMax}.`)
      return steer(job, { kind: 'pace', perSecond }, reason, context)
    },
  }),
)

addSimple('abortReplay')

function addSimple(name: keyof typeof simple): void {
  const { kind, text } = simple[name]
  builder.mutationField(name, (t) =>
    t.field({
      type: JobResult,
      description: text,
      args: {
        job: t.arg.id({ required: true, description: 'The job.' }),
        reason: t.arg.string({ required: true, description: why }),
      },
      resolve: (_, { job, reason }, context) => steer(job, { kind }, reason, context),
    }),
  )
}

async function steer(
  job: string,
  decision: JobDecision,
  reason: string,
  context: GraphContext,
): Promise<ReplayJob | JobRefused> {
  const actor = requireOperator('steer a replay', reason, context)
  if (!isBigint(job)) return { refusal: 'job_unknown', id: job }
  const { database, logger } = context.dependencies
  const line = { job, operator: actor, action: decision.kind }
  return whileUnsure(line, context, async () => {
    const answer = await ask(database, (client) => steerJob(client, job, decision, { actor, reason }))
    logger.info({ ...line, answer: answer.kind }, 'replay job decision')
    switch (answer.kind) {
      case 'steered':
        return findJob(job, context)
      case 'wrong_state':
        return { refusal: 'wrong_state', id: job, state: answer.state }
      case 'unknown':
        return { refusal: 'job_unknown', id: job }
    }
  })
}
