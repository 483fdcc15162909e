import type { Partition } from './partitions.ts'
import { Badge, type Tone } from './status.tsx'

const badges: Readonly<Record<Partition['state'], readonly [Tone, string]>> = {
  stopped: ['bad', 'stopped'],
  unread: ['bad', 'read by nobody'],
  unknown: ['calm', 'not known'],
  elsewhere: ['calm', 'read by another'],
  reading: ['busy', 'reading'],
  read: ['good', 'all read'],
}

/** How a partition is read. */
export function PartitionBadge({ state }: Pick<Partition, 'state'>) {
  const [tone, words] = badges[state]
  return <Badge tone={tone}>{words}</Badge>
}
