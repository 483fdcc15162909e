import { Foreign } from '../../parts/foreign.tsx'
import { formatCount } from '../../parts/format.ts'
import { Badge } from '../../parts/status.tsx'
import type { NowMetrics } from './now.tsx'
import { listPartitions, type Partition } from './partitions.ts'

const badges = {
  stopped: <Badge tone="bad">stopped</Badge>,
  unread: <Badge tone="bad">read by nobody</Badge>,
  unknown: <Badge tone="calm">not known</Badge>,
  elsewhere: <Badge tone="calm">read by another</Badge>,
  reading: <Badge tone="busy">reading</Badge>,
  read: <Badge tone="good">all read</Badge>,
} as const satisfies Record<Partition['state'], unknown>

/** How far each partition is read, and by whom. */
export function Lag({ now }: { now: NowMetrics }) {
  return (
    <section aria-labelledby="lag">
      <h2 id="lag">Kafka partitions</h2>
      <div class="scroll" tabIndex={0} role="group" aria-labelledby="lag">
        <table>
          <thead>
            <tr>
              <th scope="col">Topic</th>
              <th scope="col" class="number">
                Partition
              </th>
              <th scope="col" class="number">
                Next offset
              </th>
              <th scope="col" class="number">
                Lag
              </th>
              <th scope="col">State</th>
              <th scope="col">Read by</th>
            </tr>
          </thead>
          <tbody>
            {listPartitions(now).map(({ topic, partition, nextOffset, lag, state, reader }) => (
              <tr key={`${topic}:${partition}`}>
                <th scope="row">
                  <Foreign text={topic} />
                </th>
                <td class="number">{partition}</td>
                <td class="number">{formatCount(nextOffset)}</td>
                <td class="number">{formatCount(lag)}</td>
                <td>{badges[state]}</td>
                <td class="words">
                  <Foreign text={reader} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}
