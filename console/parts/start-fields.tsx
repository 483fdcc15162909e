import { useSignal } from '@preact/signals'
import type { StartReplayVariables } from '../api/operations.ts'
import { textOf } from './dialog.tsx'
import { formatCount, formatDuration } from './format.ts'
import type { Plan } from './plan-facts.tsx'

// A careful start: it is changed on the job's page in a moment.
const paceAtFirst = 50

/** How fast a plan is replayed, and when it stops by itself. */
export function StartFields({ plan }: { plan: Plan }) {
  const pace = useSignal(String(paceAtFirst))
  const perSecond = Number(pace.value)
  return (
    <>
      <label>
        Replays a second <span class="quiet">(empty: as fast as live payments leave room)</span>
        <input
          name="perSecond"
          type="number"
          min={0.01}
          max={1_000_000}
          step="any"
          defaultValue={paceAtFirst}
          onInput={(event) => (pace.value = event.currentTarget.value)}
        />
      </label>
      <p class="quiet">
        {perSecond > 0
          ? `At this pace it takes ${formatDuration((plan.secondsAtOne / perSecond) * 1_000)}, if live payments leave it room.`
          : 'How long it takes cannot be said.'}
      </p>
      <label>
        Begins with so many a second, doubled every 10 s <span class="quiet">(empty: at full pace)</span>
        <input
          name="rampFrom"
          type="number"
          min={0.01}
          max={perSecond > 0 ? perSecond : undefined}
          step="any"
          disabled={pace.value === ''}
          defaultValue={5}
        />
      </label>
      <label>
        Stops when so many percent failed again <span class="quiet">(empty: never)</span>
        <input name="failedPercent" type="number" min={1} max={100} step="any" defaultValue={50} />
      </label>
      <label>
        … of so many that ended last
        <input name="lookedAt" type="number" min={1} max={10_000} required defaultValue={20} />
      </label>
      {BigInt(plan.pastKeyWindow) > 0n && (
        <label>
          <input name="confirmed" type="checkbox" value="yes" /> I asked the processor: it did not carry out
          the {formatCount(plan.pastKeyWindow)} whose key it may have forgotten. Without this they are
          skipped.
        </label>
      )}
    </>
  )
}

export function readStart(plan: Plan, form: FormData): StartReplayVariables {
  const [perSecond, rampFrom, percent] = ['perSecond', 'rampFrom', 'failedPercent'].map((name) =>
    readNumber(form, name),
  )
  return {
    plan: plan.id,
    ...(perSecond === undefined ? {} : { perSecond }),
    ...(rampFrom === undefined ? {} : { rampFrom }),
    ...(percent === undefined
      ? {}
      : { stopWhen: { failedShare: percent / 100, after: Number(textOf(form, 'lookedAt')) } }),
    ...(textOf(form, 'confirmed') === 'yes' ? { confirmNotCarriedOut: true } : {}),
  }
}

function readNumber(form: FormData, name: string): number | undefined {
  const text = textOf(form, name)
  return text === '' ? undefined : Number(text)
}
