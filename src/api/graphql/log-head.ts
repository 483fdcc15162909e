import type { LogHead as LogHeadValue } from '../../log/read/read-head.ts'
import { readHead } from '../../log/read/read-head.ts'
import { ask } from '../ask.ts'
import { builder } from './builder.ts'
import { encodeLogCursor } from './cursor.ts'

export const LogHead = builder.objectRef<LogHeadValue>('LogHead').implement({
  description: 'Where the readable log ends: no event is ever added before it.',
  fields: (t) => ({
    cursor: t.string({
      description: 'Subscribe or ask for events after it: they are those that come later.',
      resolve: (head) => encodeLogCursor(head.cursor),
    }),
    at: t.expose('at', { type: 'DateTime', description: 'What was recorded before this instant is final.' }),
    ageSeconds: t.exposeFloat('ageSeconds', {
      description: 'For how long the oldest open writing transaction has held the head back; 0 if none does.',
    }),
    heldByPid: t.exposeInt('heldByPid', {
      nullable: true,
      description: "The database's process that runs this transaction, if one does and may be seen.",
    }),
  }),
})

builder.queryField('head', (t) =>
  t.field({
    type: LogHead,
    nullable: true,
    description:
      'Where the readable log ends now. Query, then subscribe after this cursor: nothing is missed. No cursor above it is ever handed out.',
    resolve: (_, __, { dependencies }) => ask(dependencies.database, readHead),
  }),
)
