import type { JournalEntry as Entry } from '../../../log/read/read-journal.ts'
import { builder } from '../builder.ts'
import { DecidedBy, JournalKind } from '../enums.ts'

export const JournalEntry = builder.objectRef<Entry>('JournalEntry').implement({
  description: 'A decision of an operator or of the service. What it is not about is null.',
  fields: (t) => ({
    id: t.id({
      description: 'The same for the same decision.',
      resolve: ({ kind, key1, key2 }) => `${kind}:${key1}:${key2}`,
    }),
    at: t.expose('at', { type: 'DateTime', description: 'When it was recorded.' }),
    kind: t.expose('kind', { type: JournalKind, description: 'What it is about.' }),
    by: t.expose('by', {
      type: DecidedBy,
      description: 'Whether an operator decided, or the service itself.',
    }),
    actor: t.exposeString('actor', { description: 'Who decided.' }),
    decision: t.exposeString('decision', {
      description:
        'What was decided, in the word of the table that has it, such as replayed, held, paused, rate, pace_changed or gap_accepted. May grow.',
    }),
    detail: t.exposeString('detail', {
      nullable: true,
      description:
        'More about it, for people: what a dead letter was resolved as, what caused a state of the destination, its limit or the pace of a job from then on, offsets.',
    }),
    reason: t.exposeString('reason', { description: 'Why, in the words of whoever decided.' }),
    evidence: t.exposeString('evidence', { nullable: true, description: 'What proves a resolution.' }),
    transactionId: t.exposeString('transactionId', { nullable: true, description: 'PAYMENT: which one.' }),
    destination: t.exposeString('destination', { nullable: true, description: 'DESTINATION: which one.' }),
    job: t.exposeID('job', { nullable: true, description: 'REPLAY_JOB: the number of the job.' }),
    topic: t.exposeString('topic', { nullable: true, description: "PARTITION: Kafka's topic." }),
    partition: t.exposeInt('partition', { nullable: true, description: 'PARTITION: which one.' }),
  }),
})
