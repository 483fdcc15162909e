import { Foreign } from '../../parts/foreign.tsx'
import { formatCount } from '../../parts/format.ts'
import { Badge } from '../../parts/status.tsx'
import type { NowMetrics } from './now.tsx'

/** How far each partition is read. */
export function Lag({ now: { consumer } }: { now: NowMetrics }) {
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
            </tr>
          </thead>
          <tbody>
            {(consumer ?? []).map(({ topic, partition, nextOffset, lag, stopped }) => (
              <tr key={`${topic}:${partition}`}>
                <th scope="row">
                  <Foreign text={topic} />
                </th>
                <td class="number">{partition}</td>
                <td class="number">{formatCount(nextOffset)}</td>
                <td class="number">{formatCount(lag)}</td>
                <td>{readState(lag, stopped)}</td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

function readState(lag: string | null, stopped: string | null) {
  if (stopped !== null) return <Badge tone="bad">stopped</Badge>
  if (lag === null) return <Badge tone="calm">not read by this instance</Badge>
  return <Badge tone={lag === '0' ? 'good' : 'busy'}>{lag === '0' ? 'all read' : 'reading'}</Badge>
}
