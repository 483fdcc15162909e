type ConsumerState =
  'starting' | 'running' | 'rebalancing' | 'waiting for the database' | 'crashed' | 'stopped'

/** What the consumer's parts write and the service shows. */
export type Health = {
  state: ConsumerState
  /** The last failure; null again as soon as the consumer runs. */
  lastError: string | null
  /** Whether Kafka last answered that the topic does not exist. */
  topicMissing: boolean
  assigned: number[]
  /** The topic's partitions that no member of the group reads. */
  unread: number[]
  /** The assigned partitions that Kafka does not hand over. */
  waiting: readonly WaitingPartition[]
  /** Why the group's coordinator cannot be reached; null while it answers. */
  coordinatorError: string | null
  /** When a broker last answered a fetch of this process; null before the first time. */
  fetchedAt: Date | null
  /** When the group's coordinator last answered this process; null before the first time. */
  heartbeatAt: Date | null
  /** The group as its coordinator last described it; null while this process is no member, and before the first time. */
  group: Group | null
}

/** Of a consumer that has not begun. */
export function newHealth(): Health {
  return {
    state: 'starting',
    lastError: null,
    topicMissing: false,
    assigned: [],
    unread: [],
    waiting: [],
    coordinatorError: null,
    fetchedAt: null,
    heartbeatAt: null,
    group: null,
  }
}

/** Who reads what of the topic. */
type Group = { at: Date; members: readonly GroupMember[] }

/** `clientId` is the name of the instance, where it is one of ours. */
type GroupMember = { clientId: string; partitions: readonly number[] }

/** A partition of this member that cannot be read until something changes in Kafka. */
export type WaitingPartition = { partition: number; reason: string; waitingMs: number }
