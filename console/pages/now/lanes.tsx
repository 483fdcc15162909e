import { formatCount, formatEstimate } from '../../parts/format.ts'
import type { NowMetrics } from './now.tsx'

const words = { FRESH: 'First attempts', RETRY: 'Further attempts' } as const

/** How busy the lanes of the instance are that answers this page. */
export function Lanes({ now: { inFlight } }: { now: NowMetrics }) {
  return (
    <section aria-labelledby="lanes">
      <h2 id="lanes">Requests under way, this instance</h2>
      <table>
        <thead>
          <tr>
            <th scope="col">Lane</th>
            <th scope="col" class="number">
              Under way
            </th>
            <th scope="col" class="number">
              At most
            </th>
            <th scope="col" class="number">
              Due, of all
            </th>
          </tr>
        </thead>
        <tbody>
          {(inFlight ?? []).map(({ lane, inFlight: open, limit, due }) => (
            <tr key={lane}>
              <th scope="row">{words[lane]}</th>
              <td class="number">{formatCount(open)}</td>
              <td class="number">{formatCount(limit)}</td>
              <td class="number">{formatEstimate(due)}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </section>
  )
}
