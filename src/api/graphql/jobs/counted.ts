import type { Counted, SkipReason as SkipValue } from '../../../log/read/read-plan.ts'
import type { DeadLetterCause as CauseValue } from '../../../message/message.ts'
import { builder } from '../builder.ts'
import { DeadLetterCause, SkipReason } from '../enums.ts'

export const CauseCount = builder.objectRef<Counted<CauseValue>>('CauseCount').implement({
  description: 'Dead letters of one cause.',
  fields: (t) => ({
    cause: t.expose('key', { type: DeadLetterCause, description: 'The cause.' }),
    count: t.expose('count', { type: 'BigInt', description: 'How many.' }),
  }),
})

export const SkipCount = builder.objectRef<Counted<SkipValue>>('SkipCount').implement({
  description: 'Messages that are left out for one reason.',
  fields: (t) => ({
    reason: t.expose('key', { type: SkipReason, description: 'Why.' }),
    count: t.expose('count', { type: 'BigInt', description: 'How many.' }),
  }),
})
