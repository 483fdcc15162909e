import type {
  RetryCount,
  UnknownCounts as UnknownCountsRow,
} from '../../../log/read/rollups/read-standing.ts'
import type { DecidedCounts } from '../../../log/read/count-decided.ts'
import type { Status } from '../../../message/message.ts'
import { builder } from '../builder.ts'
import { CauseCount } from '../jobs/counted.ts'

export const StatusCounts = builder.objectRef<Record<Status, number>>('StatusCounts').implement({
  description: 'How many messages there are of each status, exactly, as of one instant.',
  fields: (t) => ({
    pending: t.field({
      type: 'BigInt',
      description: 'Wait for an attempt.',
      resolve: (counts) => String(counts.pending),
    }),
    processing: t.field({
      type: 'BigInt',
      description: 'Have an attempt open.',
      resolve: (counts) => String(counts.processing),
    }),
    success: t.field({
      type: 'BigInt',
      description: 'Were accepted.',
      resolve: (counts) => String(counts.success),
    }),
    failed: t.field({
      type: 'BigInt',
      description: 'Failed and will be retried.',
      resolve: (counts) => String(counts.failed),
    }),
    deadLetter: t.field({
      type: 'BigInt',
      description: 'Are dead letters, rejected and conflicting records among them.',
      resolve: (counts) => String(counts.dead_letter),
    }),
    total: t.field({
      type: 'BigInt',
      description: 'All messages.',
      resolve: (counts) => String(Object.values(counts).reduce((sum, count) => sum + count, 0)),
    }),
  }),
})

export const DeadLetterCounts = builder.objectRef<DecidedCounts>('DeadLetterCounts').implement({
  description:
    'The dead letters that are in the database, exactly, as of one instant. Archived ones are in counts.deadLetter, but not here: nobody can resolve them any more.',
  fields: (t) => ({
    open: t.field({
      type: 'BigInt',
      description: 'Wait for an operator.',
      resolve: ({ openDeadLetters }) => String(openDeadLetters),
    }),
    byCause: t.field({
      type: [CauseCount],
      description: 'The open ones by cause. A cause that none has is left out.',
      resolve: ({ openByCause }) =>
        [...openByCause].filter(([, n]) => n > 0).map(([key, n]) => ({ key, count: String(n) })),
    }),
    resolved: t.field({
      type: 'BigInt',
      description: 'Were resolved by an operator.',
      resolve: ({ resolvedDeadLetters }) => String(resolvedDeadLetters),
    }),
  }),
})

export const UnknownCounts = builder.objectRef<UnknownCountsRow>('UnknownCounts').implement({
  description: 'Messages with an unknown or abandoned attempt, by where they are now.',
  fields: (t) => ({
    open: t.expose('open', { type: 'BigInt', description: 'PENDING, PROCESSING or FAILED.' }),
    deadLetter: t.expose('deadLetter', {
      type: 'BigInt',
      description: 'DEAD_LETTER: the processor may have carried them out all the same.',
    }),
    success: t.expose('success', { type: 'BigInt', description: 'SUCCESS.' }),
  }),
})

export const RetryBucket = builder.objectRef<RetryCount>('RetryBucket').implement({
  description: 'How many messages needed so many retries.',
  fields: (t) => ({
    retryCount: t.exposeInt('retryCount', {
      description: 'Retries scheduled since the message was received or last replayed.',
    }),
    messages: t.expose('messages', { type: 'BigInt', description: 'How many there are of it now.' }),
  }),
})
