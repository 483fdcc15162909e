import {
  isRecorded,
  pauseDestination,
  resumeDestination,
  setRateLimit,
  type Operator,
  type SteerAnswer,
} from '../../../log/write/steer-destination.ts'
import type { PoolClient } from 'pg'
import { isRateLimit, rateLimitMax, rateLimitMin } from '../../../message/rate-limit.ts'
import { ask, DatabaseUnavailable } from '../../ask.ts'
import { builder } from '../builder.ts'
import type { GraphContext } from '../create-context.ts'
import { refuse } from '../errors.ts'
import { requireOperator } from '../require-role.ts'
import { DestinationResult } from './steer-result.ts'

builder.mutationField('pauseDestination', (t) =>
  t.field({
    type: DestinationResult,
    description:
      'No instance starts an attempt until the destination is resumed or the time is over. Open attempts end as usual, and records are still stored. reason: 1 to 2,048 bytes.',
    args: {
      name: t.arg.string({ required: true, defaultValue: 'default', description: 'Which destination.' }),
      reason: t.arg.string({ required: true, description: 'Why; it stands in the log for ever.' }),
      until: t.arg({
        type: 'DateTime',
        description: 'When the pause ends by itself; left out, an operator must end it.',
      }),
    },
    resolve: (_, { name, reason, until }, context) =>
      steer('pause', name, reason, context, (client, operator) =>
        pauseDestination(
          client,
          name,
          operator,
          until === null || until === undefined ? null : { at: until },
        ),
      ),
  }),
)

builder.mutationField('resumeDestination', (t) =>
  t.field({
    type: DestinationResult,
    description:
      'Ends a pause, or a hold of the guard: the destination begins to ramp. reason: 1 to 2,048 bytes.',
    args: {
      name: t.arg.string({ required: true, defaultValue: 'default', description: 'Which destination.' }),
      reason: t.arg.string({ required: true, description: 'Why; it stands in the log for ever.' }),
    },
    resolve: (_, { name, reason }, context) =>
      steer('resume', name, reason, context, (client, operator) => resumeDestination(client, name, operator)),
  }),
)

builder.mutationField('setRateLimit', (t) =>
  t.field({
    type: DestinationResult,
    description:
      'Limits how many attempts a second all instances together start; it holds until it is set again, or RATE_LIMIT is changed. reason: 1 to 2,048 bytes.',
    args: {
      name: t.arg.string({ required: true, defaultValue: 'default', description: 'Which destination.' }),
      perSecond: t.arg.float({
        required: true,
        description: 'Attempts a second, 0.01 to 1,000,000; 0 takes the limit away.',
      }),
      burst: t.arg.int({
        description:
          'How many may start at once, 1 to 1,000,000; left out, a fifth of perSecond, 2 at least.',
      }),
      reason: t.arg.string({ required: true, description: 'Why; it stands in the log for ever.' }),
    },
    resolve: (_, { name, perSecond, burst, reason }, context) => {
      const limit = { perSecond, burst: burst ?? null }
      const isNone = perSecond === 0 && limit.burst === null
      if (!isNone && !isRateLimit(limit))
        throw refuse(
          'BAD_USER_INPUT',
          `perSecond must be 0, or a number from ${rateLimitMin} to ${rateLimitMax}; burst must be from 1 to ${rateLimitMax}, and belongs to a limit.`,
        )
      return steer('limit', name, reason, context, (client, operator) =>
        setRateLimit(client, name, operator, isNone ? null : limit),
      )
    },
  }),
)

/** What a mutation answers with; the rest is an error. */
type Recorded = Exclude<SteerAnswer, { kind: 'in_the_way' }>

async function steer(
  action: 'pause' | 'resume' | 'limit',
  name: string,
  reason: string,
  context: GraphContext,
  act: (client: PoolClient, operator: Operator) => Promise<SteerAnswer>,
): Promise<Recorded & { name: string }> {
  const { database, destination, logger } = context.dependencies
  const actor = requireOperator(`${action} a destination`, reason, context)
  if (name !== destination.name) return { kind: 'unknown', name }
  const line = { destination: name, operator: actor, action }
  try {
    const answer = await ask(database, (client) => act(client, { actor, reason }))
    // Every instance tells a decision when it hears of it. What was refused is told here alone.
    if (!isRecorded(answer)) logger.info({ ...line, answer: answer.kind }, 'steering refused')
    if (answer.kind === 'in_the_way')
      throw refuse(
        'DATABASE_UNAVAILABLE',
        'A transaction that waits for a lock is in the way, and nothing was recorded: try again.',
      )
    return { ...answer, name }
  } catch (error) {
    if (!(error instanceof DatabaseUnavailable)) throw error
    logger.warn({ ...line, reason: error.message }, 'steering failed')
    throw refuse(
      'DATABASE_UNAVAILABLE',
      `The database did not answer, and this may have been recorded all the same: look at the destination first.`,
    )
  }
}
