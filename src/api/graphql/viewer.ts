import type { Viewer as ViewerValue } from '../access.ts'
import { builder } from './builder.ts'
import { Role } from './enums.ts'

const Viewer = builder.objectRef<ViewerValue>('Viewer').implement({
  description: 'Who asks.',
  fields: (t) => ({
    name: t.exposeString('name', {
      description:
        "The token's name, which events record as actor; anonymous where no tokens are configured.",
    }),
    role: t.expose('role', { type: Role, description: 'What this one may do.' }),
  }),
})

builder.queryField('viewer', (t) =>
  t.field({
    type: Viewer,
    description: 'Who asks, by the token of this request.',
    resolve: (_, __, { viewer }) => viewer,
  }),
)
