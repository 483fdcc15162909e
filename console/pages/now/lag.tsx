import { Foreign } from '../../parts/foreign.tsx'
import { formatCount } from '../../parts/format.ts'
import { PartitionBadge } from '../../parts/partition-badge.tsx'
import { listPartitions } from '../../parts/partitions.ts'
import type { NowMetrics } from './now.tsx'

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
                <td>
                  <PartitionBadge state={state} />
                </td>
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
