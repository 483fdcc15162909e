import { countDue } from '../../../log/read/count-due.ts'
import type { LaneName } from '../../../message/message.ts'
import { lanes } from '../../../message/message.ts'
import { ask } from '../../ask.ts'
import type { ApiDependencies } from '../../api-dependencies.ts'
import { builder } from '../builder.ts'
import { Count } from '../count.ts'
import { Lane } from '../enums.ts'

type LaneLoadValue = { lane: LaneName; inFlight: number; limit: number }

export const LaneLoad = builder.objectRef<LaneLoadValue>('LaneLoad').implement({
  description: 'How busy one lane of this instance is.',
  fields: (t) => ({
    lane: t.expose('lane', { type: Lane, description: 'Which one.' }),
    inFlight: t.exposeInt('inFlight', {
      description: 'Requests of this instance to the processor that are under way.',
    }),
    limit: t.exposeInt('limit', { description: 'How many of them it may have.' }),
    due: t.field({
      type: Count,
      nullable: true,
      description:
        'Messages of the whole service that are due and wait for room in such a lane; beyond 10,000 an estimate.',
      resolve: ({ lane }, _, { dependencies }) =>
        ask(dependencies.database, (client) => countDue(client, lane)),
    }),
  }),
})

export function listLanes({ health }: ApiDependencies): LaneLoadValue[] {
  return health().lanes.flatMap(({ lane, ...load }) =>
    lanes.filter((name) => name === lane).map((name) => ({ lane: name, ...load })),
  )
}

type WakeupsValue = Record<'notify' | 'timer' | 'slot' | 'sweep' | 'missed', string> & {
  listenerUp: boolean
  listenerAgeSeconds: number | null
}

export const Wakeups = builder.objectRef<WakeupsValue>('Wakeups').implement({
  description: 'What made the lanes of this instance look for due work, since it started.',
  fields: (t) => ({
    notify: t.expose('notify', { type: 'BigInt', description: 'A NOTIFY of PostgreSQL.' }),
    timer: t.expose('timer', { type: 'BigInt', description: 'A timer: the next message came due.' }),
    slot: t.expose('slot', { type: 'BigInt', description: 'Room in the lane.' }),
    sweep: t.expose('sweep', { type: 'BigInt', description: 'The sweep, which found something missed.' }),
    missed: t.expose('missed', {
      type: 'BigInt',
      description: 'Messages that were due for over 10 s and nobody looked. Stays 0.',
    }),
    listenerUp: t.exposeBoolean('listenerUp', { description: 'Whether the LISTEN session is up.' }),
    listenerAgeSeconds: t.exposeFloat('listenerAgeSeconds', {
      nullable: true,
      description: 'Since it last gave a sign of life; null while it has given none.',
    }),
  }),
})

export async function readWakeups({ metrics, health }: ApiDependencies): Promise<WakeupsValue> {
  const { values } = await metrics.wakeups.get()
  const missed = await metrics.missedWakeups.get()
  const { listener } = health()
  const count = (cause: string): string =>
    String(values.reduce((sum, { labels, value }) => sum + (labels.cause === cause ? value : 0), 0))
  return {
    notify: count('notify'),
    timer: count('timer'),
    slot: count('slot'),
    sweep: count('sweep'),
    missed: String(missed.values.reduce((sum, { value }) => sum + value, 0)),
    listenerUp: listener.up,
    listenerAgeSeconds: listener.ageMs === null ? null : listener.ageMs / 1_000,
  }
}
