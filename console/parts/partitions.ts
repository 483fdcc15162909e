/** What the API tells of partitions, as far as it is needed to say how each is read. */
type Told = {
  readonly consumer:
    | readonly {
        readonly topic: string
        readonly partition: number
        readonly nextOffset: string
        readonly lag: string | null
        readonly unreadLag: string | null
        readonly stopped: string | null
      }[]
    | null
  readonly kafka: {
    readonly topic: string
    readonly connected: boolean
    readonly members: readonly { readonly instance: string; readonly partitions: readonly number[] }[] | null
    readonly unread:
      readonly { readonly topic: string; readonly partition: number; readonly lag: string | null }[] | null
  } | null
}

export type Partition = {
  readonly topic: string
  readonly partition: number
  /** Null where nothing of it was ever stored. */
  readonly nextOffset: string | null
  /** Null where this instance does not know it. */
  readonly lag: string | null
  readonly state: 'stopped' | 'unread' | 'unknown' | 'elsewhere' | 'reading' | 'read'
  /** The instance that the group gives it to; a dash where that is not known, or nobody reads it. */
  readonly reader: string
}

/** Every partition that was ever read, and those that nobody reads. Without a connection to Kafka nothing is known of lag and readers. */
export function listPartitions({ consumer, kafka }: Told): readonly Partition[] {
  const nameOf = ({ topic, partition }: { topic: string; partition: number }) => `${topic}:${partition}`
  const unread = new Map((kafka?.unread ?? []).map((each) => [nameOf(each), each]))
  const stored = (consumer ?? []).map((each): Partition => {
    const isOurs = each.topic === kafka?.topic
    const reader = isOurs
      ? kafka.members?.find(({ partitions }) => partitions.includes(each.partition))?.instance
      : undefined
    const known = { topic: each.topic, partition: each.partition, nextOffset: each.nextOffset }
    if (each.stopped !== null)
      return { ...known, lag: each.unreadLag, state: 'stopped', reader: reader ?? '–' }
    if (unread.has(nameOf(each)))
      return { ...known, lag: unread.get(nameOf(each))?.lag ?? null, state: 'unread', reader: '–' }
    if (kafka?.connected !== true) return { ...known, lag: null, state: 'unknown', reader: '–' }
    if (each.lag !== null)
      return { ...known, lag: each.lag, state: each.lag === '0' ? 'read' : 'reading', reader: reader ?? '–' }
    return {
      ...known,
      lag: null,
      state: reader === undefined ? 'unknown' : 'elsewhere',
      reader: reader ?? '–',
    }
  })
  const names = new Set(stored.map(nameOf))
  const others = [...unread.values()].filter((each) => !names.has(nameOf(each)))
  return [
    ...stored,
    ...others.map((each): Partition => ({ ...each, nextOffset: null, state: 'unread', reader: '–' })),
  ]
}
