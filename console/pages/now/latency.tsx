import { formatCount, formatDuration } from '../../parts/format.ts'
import type { NowMetrics } from './now.tsx'

/** How long payments and attempts took. */
export function Latency({ now: { latency } }: { now: NowMetrics }) {
  const rows = [
    ['From received to accepted', latency?.endToEnd],
    ['One attempt', latency?.attempt],
  ] as const
  return (
    <section aria-labelledby="latency">
      <h2 id="latency">How long it took, last hour</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">What</th>
            <th scope="col" class="number">
              p50
            </th>
            <th scope="col" class="number">
              p99
            </th>
            <th scope="col" class="number">
              Longest
            </th>
            <th scope="col" class="number">
              Count
            </th>
          </tr>
        </thead>
        <tbody>
          {rows.map(([name, each]) => (
            <tr key={name}>
              <th scope="row">{name}</th>
              <td class="number">{formatDuration(each?.p50Ms)}</td>
              <td class="number">{formatDuration(each?.p99Ms)}</td>
              <td class="number">{formatDuration(each?.maxMs)}</td>
              <td class="number">{formatCount(each?.count)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
