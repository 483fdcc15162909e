import type { Unread } from '../kafka/find-unread.ts'
import type { KafkaSession } from '../kafka/session.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { wait } from '../runtime/wait.ts'
import type { Health } from './health.ts'

export type WatchOptions = {
  readonly session: Pick<KafkaSession, 'findUnread'>
  readonly groupId: string
  readonly topic: string
  readonly health: Health
  readonly metrics: Metrics
  readonly logger: Logger
  /** Aborting it ends the watch. */
  readonly signal: AbortSignal
}

// The wait while the group cannot be described or a partition is unread. Otherwise only new partitions can
// change the answer without a join.
const retryMs = 1_000
const everyMs = 30_000

/**
 * Watches whether each partition of the topic is read by a member of the group. The group's leader assigns
 * the partitions. A leader of an older release, or another program, may assign ours to nobody although every
 * consumer is healthy.
 *
 * @returns a function to be called at each join, with the leader's member id
 */
export function watchUnread(options: WatchOptions): (leaderId: string) => void {
  options.metrics.unreadPartitions.set({ topic: options.topic }, 0)
  let joins = 0
  const watch = async (leaderId: string): Promise<void> => {
    const join = ++joins
    const isCurrent = (): boolean => join === joins && !options.signal.aborted
    while (isCurrent()) {
      const unread = await find(options)
      if (!isCurrent()) return
      if (unread !== null) note(options, unread, leaderId)
      await wait(unread?.partitions.length === 0 ? everyMs : retryMs, options.signal)
    }
  }
  return (leaderId) => void watch(leaderId)
}

async function find({ session, groupId, topic, logger }: WatchOptions): Promise<Unread | null> {
  try {
    return await session.findUnread()
  } catch (error) {
    logger.debug({ group_id: groupId, topic, reason: reasonOf(error) }, 'group not described')
    return null
  }
}

function note(options: WatchOptions, { partitions, members }: Unread, leaderId: string): void {
  const { health, metrics, logger, groupId, topic } = options
  const known = health.unread.join()
  health.unread = [...partitions]
  health.group = {
    at: new Date(),
    members: members.map(({ clientId, partitions }) => ({ clientId, partitions })),
  }
  metrics.unreadPartitions.set({ topic }, partitions.length)
  if (partitions.join() === known) return
  if (partitions.length === 0) {
    logger.info({ group_id: groupId, topic }, 'every partition is read')
    return
  }
  const leader = members.find(({ memberId }) => memberId === leaderId)
  logger.error(
    {
      group_id: groupId,
      topic,
      partitions,
      leader: leader?.clientId,
      host: leader?.clientHost,
      reason: unreadReason,
    },
    'partitions without a reader',
  )
}

const unreadReason =
  'The leader of the consumer group assigns its partitions, and assigned these to no member that reads the topic. An older ' +
  'release or another program does that. Stop it, or give each topic its own KAFKA_GROUP_ID.'
