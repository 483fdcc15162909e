import { builder } from './builder.ts'

export const Count = builder.objectRef<{ value: string; exact: boolean }>('Count').implement({
  description: 'Beyond a bound an estimate that says so: nothing here scans millions.',
  fields: (t) => ({
    value: t.expose('value', { type: 'BigInt', description: 'How many.' }),
    exact: t.exposeBoolean('exact', { description: 'False where it is an estimate.' }),
  }),
})
