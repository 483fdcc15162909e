type ConsumerState =
  'starting' | 'running' | 'rebalancing' | 'waiting for the database' | 'crashed' | 'stopped'

/** What the consumer's parts write as they go, and the service shows. */
export type Health = {
  state: ConsumerState
  /** What it last failed on; null again as soon as it runs. */
  lastError: string | null
  /** Whether Kafka said, when it was last asked, that there is no such topic. */
  topicMissing: boolean
  assigned: number[]
  /** The topic's partitions that no member of the group reads. */
  unread: number[]
  /** Those of them that Kafka does not hand over. */
  waiting: readonly WaitingPartition[]
  /** Why the group's coordinator cannot be asked; null while it answers. */
  coordinatorError: string | null
}

/** A partition of this member that wants to be read, and cannot be before something in Kafka has passed. */
export type WaitingPartition = { partition: number; reason: string; waitingMs: number }
