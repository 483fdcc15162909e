import { printTime } from '../../../runtime/date-time.ts'
import type { ApiDependencies } from '../../api-dependencies.ts'
import type { Health } from '../../health.ts'
import { mask } from '../../mask.ts'
import { builder } from '../builder.ts'
import { ConsumerState } from '../enums.ts'
import { readLags } from './read-lags.ts'

type GroupMemberValue = { clientId: string; partitions: readonly number[] }

const GroupMember = builder.objectRef<GroupMemberValue>('GroupMember').implement({
  description: 'A member of the consumer group, and what it reads of the topic.',
  fields: (t) => ({
    instance: t.exposeString('clientId', {
      description: 'The name of the instance; of another program, its Kafka client id.',
    }),
    partitions: t.intList({
      description: 'The partitions that the group gives to it.',
      resolve: ({ partitions }) => [...partitions],
    }),
  }),
})

type UnreadValue = { topic: string; partition: number; lag: string | null }

const UnreadPartition = builder.objectRef<UnreadValue>('UnreadPartition').implement({
  description: 'A partition that no member of the consumer group reads.',
  fields: (t) => ({
    topic: t.exposeString('topic', { description: "Kafka's topic." }),
    partition: t.exposeInt('partition', { description: 'Its partition.' }),
    lag: t.expose('lag', {
      type: 'BigInt',
      nullable: true,
      description:
        'Records that wait in it, asked of the broker once a minute; null where that is not known.',
    }),
  }),
})

type WaitingValue = Health['consumer']['waiting'][number]

const WaitingPartition = builder.objectRef<WaitingValue>('WaitingPartition').implement({
  description: 'A partition of this instance that Kafka does not hand over.',
  fields: (t) => ({
    partition: t.exposeInt('partition', { description: 'Which one.' }),
    reason: t.string({ description: 'Why, in a sentence.', resolve: ({ reason }) => mask(reason) }),
    seconds: t.float({
      description: 'For how long so far.',
      resolve: ({ waitingMs }) => waitingMs / 1_000,
    }),
  }),
})

type KafkaValue = { consumer: Health['consumer']; dependencies: ApiDependencies }

export const KafkaState = builder.objectRef<KafkaValue>('KafkaState').implement({
  description: 'How this instance stands with Kafka, from its own memory: it is told without a database too.',
  fields: (t) => ({
    topic: t.string({ description: 'The topic that it reads.', resolve: ({ consumer }) => consumer.topic }),
    connected: t.boolean({
      description:
        'Whether it is a member of its consumer group whose coordinator answers, and is not kept waiting for each of its partitions.',
      resolve: ({ consumer }) => consumer.connection.isConnected,
    }),
    since: t.field({
      type: 'DateTime',
      description: 'Since when it is connected, or is not; at first, since when the process runs.',
      resolve: ({ consumer }) => printTime(consumer.connection.since),
    }),
    reason: t.string({
      nullable: true,
      description: 'Why it is not connected; null while it is.',
      resolve: ({ consumer }) => mask(consumer.connection.reason),
    }),
    state: t.field({
      type: ConsumerState,
      description: 'What the consumer does.',
      resolve: ({ consumer }) => consumer.state,
    }),
    lastFetchAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When a broker last answered a fetch; null before the first time.',
      resolve: ({ consumer }) => printTime(consumer.fetchedAt),
    }),
    lastHeartbeatAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: "When the group's coordinator last answered; null before the first time.",
      resolve: ({ consumer }) => printTime(consumer.heartbeatAt),
    }),
    assigned: t.intList({
      description: 'The partitions that this instance holds.',
      resolve: ({ consumer }) => [...consumer.assigned],
    }),
    waiting: t.field({
      type: [WaitingPartition],
      description: 'Those of them that Kafka does not hand over.',
      resolve: ({ consumer }) => [...consumer.waiting],
    }),
    members: t.field({
      type: [GroupMember],
      nullable: true,
      description:
        'The members of the group, as its coordinator last described it; null while that is not known, as without a connection.',
      resolve: ({ consumer }) => consumer.group && [...consumer.group.members],
    }),
    membersAt: t.field({
      type: 'DateTime',
      nullable: true,
      description: 'When it described it: at each change, and every 30 s.',
      resolve: ({ consumer }) => printTime(consumer.group?.at ?? null),
    }),
    unread: t.field({
      type: [UnreadPartition],
      nullable: true,
      description: 'The partitions that no member reads; null while that is not known.',
      resolve: ({ consumer, dependencies }) => findUnread(consumer, dependencies),
    }),
  }),
})

async function findUnread(
  { group, unread, topic }: Health['consumer'],
  { metrics }: ApiDependencies,
): Promise<UnreadValue[] | null> {
  if (group === null) return null
  const lags = await readLags(metrics.unreadLag)
  return unread.map((partition) => ({ topic, partition, lag: lags.get(`${topic}:${partition}`) ?? null }))
}
