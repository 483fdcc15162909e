import { listInstances, type KnownInstance } from '../../../log/read/list-instances.ts'
import { printTime } from '../../../runtime/date-time.ts'
import { ask } from '../../ask.ts'
import type { ApiDependencies } from '../../api-dependencies.ts'
import type { Health } from '../../health.ts'
import { builder } from '../builder.ts'
import { InstanceState } from '../enums.ts'

type InstanceValue = KnownInstance & {
  state: 'live' | 'silent' | 'gone'
  heardAt: Date | null
  isAnswering: boolean
  partitions: readonly number[] | null
}

export const Instance = builder.objectRef<InstanceValue>('Instance').implement({
  description: 'One run of one process of the service.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Its name, as in the actors of events.' }),
    release: t.exposeString('release', {
      nullable: true,
      description: 'Which release it runs; null before it has written to the log.',
    }),
    startedAt: t.expose('startedAt', {
      type: 'DateTime',
      nullable: true,
      description: 'Since when it runs; null before it has written to the log.',
    }),
    state: t.expose('state', { type: InstanceState, description: 'Whether it lives.' }),
    lastHeartbeatAt: t.field({
      type: 'DateTime',
      nullable: true,
      description:
        'When the instance that answers last heard of it, by its own clock: each tells the others every 5 s. Null while it never did.',
      resolve: ({ heardAt }) => printTime(heardAt),
    }),
    answers: t.exposeBoolean('isAnswering', { description: 'Whether it is the one that answers this.' }),
    partitions: t.intList({
      nullable: true,
      description: 'The partitions that the consumer group gives to it; null while that is not known.',
      resolve: ({ partitions }) => partitions && [...partitions],
    }),
  }),
})

/** The instances that live, and those that were heard in the last ten minutes and do so no more. */
export async function resolveInstances({
  database,
  instance,
  health,
}: ApiDependencies): Promise<InstanceValue[]> {
  const known = health()
  const names = [...known.peers.heard.keys(), instance]
  const found = await ask(database, (client) => listInstances(client, names))
  return found.map((each) => ({
    ...each,
    state: stateOf(each, instance, known),
    heardAt: each.name === instance ? heardSelf(known) : (known.peers.heard.get(each.name) ?? null),
    isAnswering: each.name === instance,
    partitions: partitionsOf(each.name, known),
  }))
}

function stateOf(
  { name, isListening }: KnownInstance,
  self: string,
  { listener, peers }: Health,
): InstanceValue['state'] {
  if (name === self) return 'live'
  if (!isListening) return 'gone'
  // Who does not hear cannot say of the others that they are silent.
  return !listener.up || peers.mayLive(name) ? 'live' : 'silent'
}

function heardSelf({ listener: { ageMs } }: Health): Date | null {
  return ageMs === null ? null : new Date(Date.now() - ageMs)
}

/** A member that is not in the group reads nothing. */
function partitionsOf(name: string, { consumer: { group } }: Health): readonly number[] | null {
  if (group === null) return null
  return group.members.find(({ clientId }) => clientId === name)?.partitions ?? []
}
