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
    readonly state:
      'starting' | 'running' | 'rebalancing' | 'waiting for the database' | 'crashed' | 'stopped'
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
    readonly topic: string
    /** Whether Kafka hands over what it has, since when, and if not, why. */
    readonly connection: {
      readonly isConnected: boolean
      readonly since: Date
      readonly reason: string | null
    }
    /** When a broker last answered a fetch, and the coordinator a heartbeat; null before the first time. */
    readonly fetchedAt: Date | null
    readonly heartbeatAt: Date | null
    /** Who reads what of the topic, as the coordinator last described the group; null while that is not known. `unread` rests on it. */
    readonly group: {
      readonly at: Date
      readonly members: readonly { readonly clientId: string; readonly partitions: readonly number[] }[]
    } | null
  }
  /** The other instances, as this one hears them. */
  readonly peers: {
    /** When each was last heard that was in the last ten minutes. */
    readonly heard: ReadonlyMap<string, Date>
    /** Whether it was heard lately; also true before anybody can tell. */
    readonly mayLive: (instance: string) => boolean
  }
  readonly lanes: readonly {
    readonly lane: string
    /** Requests to the processor that are under way. */
    readonly inFlight: number
    /** Attempts that were claimed and wait for a request to end. */
    readonly claimedAhead: number
    readonly limit: number
    /** Why the lane waits for the database; null while it does not. */
    readonly lastError: string | null
  }[]
  /** How many requests all lanes together may have under way now, and at most. */
  readonly destination: { readonly room: number; readonly limit: number }
  /** What RETAIN_LOG does in this instance; null without it. */
  readonly logRetention: {
    /** When it last went through all segments; null before the first time. */
    readonly lastRunAt: Date | null
    /** Why something that is old enough stays in the database; null if nothing does. */
    readonly waitsFor: string | null
  } | null
  readonly draining: boolean
  /** What start-up waits for; null once the process is at work. */
  readonly starting: string | null
}
