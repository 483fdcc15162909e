import { formatName, formatRate } from '../../parts/format.ts'
import { Time } from '../../parts/time.tsx'
import type { JobNow } from './job.tsx'
import { Foreign } from '../../parts/foreign.tsx'

/** The decisions that set a pace; the others leave it as it was. */
const paced: readonly string[] = ['STARTED', 'PACE_CHANGED']

type Props = {
  readonly events: NonNullable<JobNow['events']>['nodes']
  /** Whether there are later ones that are not shown. */
  readonly hasMore: boolean
}

/** What operators and the job itself decided, oldest first. */
export function JobEvents({ events, hasMore }: Props) {
  return (
    <section aria-labelledby="decided">
      <h2 id="decided">What was decided</h2>
      <div class="scroll" tabIndex={0} role="group" aria-label="Decisions about this job">
        <table>
          <thead>
            <tr>
              <th scope="col" class="number">
                Number
              </th>
              <th scope="col">Time</th>
              <th scope="col">Decision</th>
              <th scope="col">Who</th>
              <th scope="col">Reason</th>
            </tr>
          </thead>
          <tbody>
            {events.map(({ version, recordedAt, type, actor, reason, perSecond }) => (
              <tr key={version}>
                <td class="number">{version}</td>
                <td>
                  <Time at={recordedAt} />
                </td>
                <td>
                  {formatName(type)}
                  {paced.includes(type) && perSecond !== null && (
                    <span class="quiet">, {formatRate(perSecond)}</span>
                  )}
                </td>
                <td class="words">
                  <Foreign text={actor} />
                </td>
                <td class="words">
                  <Foreign text={reason} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {hasMore && <p class="quiet">These are the first {events.length}. The API has the later ones.</p>}
    </section>
  )
}
