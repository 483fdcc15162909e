import { formatCount, formatDuration, formatName } from '../../parts/format.ts'
import { Badge, toneOf } from '../../parts/status.tsx'
import type { NowMetrics } from './now.tsx'

const statuses = [
  ['PENDING', 'pending', 'wait for an attempt'],
  ['PROCESSING', 'processing', 'have an attempt open'],
  ['FAILED', 'failed', 'failed, and are tried again'],
  ['DEAD_LETTER', 'deadLetter', 'no further attempt follows'],
  ['SUCCESS', 'success', 'were accepted'],
] as const

/** How many payments there are of each status, and how late the latest is. */
export function Counts({ now, isDueKnown }: { now: NowMetrics; isDueKnown: boolean }) {
  return (
    <section aria-labelledby="counts">
      <h2 id="counts">Payments</h2>
      <dl class="tiles">
        {statuses.map(([status, field, words]) => (
          <div key={status}>
            <dt>
              <Badge tone={toneOf(status)}>{formatName(status)}</Badge>
            </dt>
            <dd class="figure">{formatCount(now.counts?.[field])}</dd>
            <dd class="quiet">
              {status === 'DEAD_LETTER'
                ? `${formatCount(now.deadLetters?.open)} open, ${formatCount(now.deadLetters?.resolved)} resolved`
                : words}
            </dd>
          </div>
        ))}
        <div>
          <dt>On hold</dt>
          <dd class="figure">{formatCount(now.held)}</dd>
          <dd class="quiet">kept back by an operator</dd>
        </div>
        <div>
          <dt>Oldest due</dt>
          <dd class="figure">{isDueKnown ? sinceThen(now, now.oldestDueAt) : '–'}</dd>
          <dd class="quiet">late, of those that wait</dd>
        </div>
      </dl>
    </section>
  )
}

/** By the service's clock on both ends, so that a reader's wrong clock makes no difference. */
function sinceThen({ at }: NowMetrics, then: string | null): string {
  return then === null ? 'none' : formatDuration(Math.max(0, Date.parse(at) - Date.parse(then)))
}
