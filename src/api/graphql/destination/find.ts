import { readDestination, type DestinationStanding } from '../../../log/read/read-destinations.ts'
import { ask } from '../../ask.ts'
import type { ApiDependencies } from '../../api-dependencies.ts'
import { builder } from '../builder.ts'
import { Destination } from './destination.ts'

builder.queryField('destinations', (t) =>
  t.field({
    type: [Destination],
    description: 'Every destination, by name.',
    resolve: async (_, __, { dependencies }) => {
      const standing = await findDestination(dependencies.destination.name, dependencies)
      return standing === null ? [] : [standing]
    },
  }),
)

builder.queryField('destination', (t) =>
  t.field({
    type: Destination,
    nullable: true,
    description: 'One destination; null if there is none of this name.',
    args: { name: t.arg.string({ required: true, defaultValue: 'default', description: 'Which one.' }) },
    resolve: (_, { name }, { dependencies }) => findDestination(name, dependencies),
  }),
)

/** Null if this instance does not deliver to a destination of this name. */
export async function findDestination(
  name: string,
  { database, destination }: Pick<ApiDependencies, 'database' | 'destination'>,
): Promise<DestinationStanding | null> {
  return name === destination.name ? ask(database, (client) => readDestination(client, name)) : null
}
