/**
 * What the process knows of its own parts, as main tells it; errors as they were caught, still unmasked. The database is not
 * among them: whoever wants to know asks it.
 */
export type Health = {
  readonly listener: {
    readonly up: boolean
    readonly ageMs: number | null
    readonly lastError: string | null
  }
  readonly consumer: {
    readonly state: string
    readonly up: boolean
    readonly lastError: string | null
    /** Whether Kafka says that there is no such topic. */
    readonly topicMissing: boolean
    readonly assigned: readonly number[]
    /** The topic's partitions that no member of the consumer group reads. */
    readonly unread: readonly number[]
    /** The assigned partitions that Kafka does not hand over: without a leader, or with one that hangs or refuses. */
    readonly waiting: readonly {
      readonly partition: number
      readonly reason: string
      readonly waitingMs: number
    }[]
    /** Why the consumer group's coordinator cannot be asked; null while it answers. */
    readonly coordinatorError: string | null
  }
  readonly lanes: readonly {
    readonly lane: string
    readonly inFlight: number
    readonly limit: number
    /** Why the lane waits for the database; null while it does not. */
    readonly lastError: string | null
  }[]
  readonly draining: boolean
  /** What start-up waits for; null once the process is at work. */
  readonly starting: string | null
}
