import { useSignal } from '@preact/signals'
import { mayDecide } from '../../api/session.ts'
import type { DestinationNowResult } from '../../api/operations.ts'
import { Foreign } from '../../parts/foreign.tsx'
import { formatCount, formatName, formatRate } from '../../parts/format.ts'
import { Badge, toneOf } from '../../parts/status.tsx'
import { Age, BothTimes } from '../../parts/time.tsx'
import { DestinationAction, type DestinationActionName } from './destination-action.tsx'
import type { NowMetrics } from './now.tsx'
import { countWaiting } from './waiting.ts'

type Shown = DestinationNowResult['destination']
type Props = { readonly destination: Shown; readonly counts: NowMetrics['counts'] }

/** Where payments go, whether they flow, and the way to stop them. */
export function Destination({ destination, counts }: Props) {
  const open = useSignal<DestinationActionName | null>(null)
  const { state, url, since, actor, reason, until, nextProbeAt, room, limit } = destination
  return (
    <section aria-labelledby="destination">
      <h2 id="destination">Destination</h2>
      <dl class="facts">
        <dt>State</dt>
        <dd>
          <Badge tone={toneOf(state)}>{formatName(state)}</Badge> for <Age since={since} />
        </dd>
        <dt>Sends to</dt>
        <dd class="words">
          <Foreign text={url} />
        </dd>
        {reason !== null && (
          <>
            <dt>Why</dt>
            <dd class="words">
              <Foreign text={reason} />{' '}
              <span class="quiet">
                (<Foreign text={actor ?? ''} />)
              </span>
            </dd>
          </>
        )}
        {until !== null && (
          <>
            <dt>Ends</dt>
            <dd>
              <BothTimes at={until} />
            </dd>
          </>
        )}
        {nextProbeAt !== null && (
          <>
            <dt>Next probe</dt>
            <dd>
              <BothTimes at={nextProbeAt} />
            </dd>
          </>
        )}
        {state !== 'FLOWING' && (
          <>
            <dt>Wait for it</dt>
            <dd>{formatCount(countWaiting(counts))}</dd>
          </>
        )}
        <dt>Room</dt>
        <dd>
          {room} of {limit} requests at once
        </dd>
        <dt>Rate limit</dt>
        <dd>{describeRate(destination)}</dd>
      </dl>
      {mayDecide.value && (
        <div class="row">
          {state !== 'PAUSED' && (
            <button type="button" onClick={() => (open.value = 'pause')}>
              Pause …
            </button>
          )}
          {(state === 'PAUSED' || state === 'HELD') && (
            <button type="button" onClick={() => (open.value = 'resume')}>
              Resume …
            </button>
          )}
          <button type="button" onClick={() => (open.value = 'rate')}>
            Set rate …
          </button>
        </div>
      )}
      {open.value !== null && <DestinationAction name={open.value} onClose={() => (open.value = null)} />}
    </section>
  )
}

function describeRate({ rateLimit, rateBurst, throttledRate }: Shown): string {
  const set =
    rateLimit === null ? 'none' : `${formatRate(rateLimit)}, ${formatCount(rateBurst)} at once at most`
  return throttledRate === null
    ? set
    : `${set}; now ${formatRate(throttledRate)}, because the processor asked for less`
}
