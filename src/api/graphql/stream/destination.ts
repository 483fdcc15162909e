import { builder } from '../builder.ts'
import { Destination } from '../destination/destination.ts'
import { refuse } from '../errors.ts'

builder.subscriptionField('destination', (t) =>
  t.field({
    type: Destination,
    description:
      'Now, then at each decision, and after each probe while it is held; the latest wins, and the numbers of the decisions show what was skipped.',
    args: { name: t.arg.string({ required: true, defaultValue: 'default', description: 'Which one.' }) },
    subscribe: (_, { name }, { dependencies, streams, client }) => {
      if (name !== dependencies.destination.name)
        throw refuse(
          'BAD_USER_INPUT',
          'There is no destination of this name: the query destinations lists all.',
        )
      return streams.destination(client, name)
    },
    resolve: (standing) => standing,
  }),
)
