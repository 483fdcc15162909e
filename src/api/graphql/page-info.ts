import { builder } from './builder.ts'

export type PageInfoValue = {
  readonly hasNextPage: boolean
  readonly hasPreviousPage: boolean
  readonly startCursor: string | null
  readonly endCursor: string | null
}

export const PageInfo = builder.objectRef<PageInfoValue>('PageInfo').implement({
  description: 'Where a page begins and ends, and whether there is more beyond it.',
  fields: (t) => ({
    hasNextPage: t.exposeBoolean('hasNextPage', {
      description: 'Whether asking on after endCursor may find more.',
    }),
    hasPreviousPage: t.exposeBoolean('hasPreviousPage', {
      description: 'Whether asking back before startCursor may find more.',
    }),
    startCursor: t.exposeString('startCursor', {
      nullable: true,
      description: 'Of the first edge; where the search stopped, if it looked at enough rows going back.',
    }),
    endCursor: t.exposeString('endCursor', {
      nullable: true,
      description: 'Of the last edge; where the search stopped, if it looked at enough rows.',
    }),
  }),
})
