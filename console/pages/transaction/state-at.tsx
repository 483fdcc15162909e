import { useSignal } from '@preact/signals'
import { ask } from '../../api/ask.ts'
import { stateAtOperation, type StateAtResult } from '../../api/operations.ts'
import { Foreign } from '../../parts/foreign.tsx'
import { formatName } from '../../parts/format.ts'
import { Notice, sentenceOf } from '../../parts/notice.tsx'
import { Status } from '../../parts/status.tsx'
import { BothTimes } from '../../parts/time.tsx'
import type { Event } from './read-life.ts'

type State = NonNullable<NonNullable<StateAtResult['message']>['asOf']>
type Props = { readonly transactionId: string; readonly events: readonly Event[] }

/** What was known of it at the moment of one of its events: the service folds its log up to there. */
export function StateAt({ transactionId, events: all }: Props) {
  /** The version of the event; null for the newest, of which the rest of the page tells. */
  const chosen = useSignal<number | null>(null)
  const state = useSignal<State | null>(null)
  const fault = useSignal<string | null>(null)
  // What was recorded at one instant became known together: the last of it stands for it.
  const events = all.filter(({ recordedAt }, at) => all[at + 1]?.recordedAt !== recordedAt)
  if (events.length < 2) return null
  const last = events.length - 1
  const found = events.findIndex(({ version }) => version === chosen.value)
  const place = found === -1 ? last : found
  const event = events[place]

  const choose = async (at: number): Promise<void> => {
    const wanted = events[at]
    if (wanted === undefined) return
    chosen.value = wanted.version
    try {
      const { message } = (await ask(stateAtOperation, { transactionId, time: wanted.recordedAt })).data
      // The slider may have moved on meanwhile.
      if (chosen.value !== wanted.version) return
      state.value = message?.asOf ?? null
      fault.value = null
    } catch (error) {
      if (chosen.value !== wanted.version) return
      state.value = null
      fault.value = sentenceOf(error)
    }
  }
  return (
    <section aria-labelledby="state-at">
      <h2 id="state-at">What was known when</h2>
      <label>
        At the moment of event {event?.version}
        <input
          type="range"
          min={0}
          max={last}
          value={place}
          aria-valuetext={event && `event ${event.version}, ${formatName(event.type)}, ${event.recordedAt}`}
          onInput={({ currentTarget }) => void choose(Number(currentTarget.value))}
        />
      </label>
      {fault.value !== null && <Notice tone="bad">{fault.value}</Notice>}
      {event !== undefined && chosen.value !== null && (
        <dl class="facts" aria-live="polite">
          <dt>Then</dt>
          <dd>
            {formatName(event.type)}, <BothTimes at={event.recordedAt} />
          </dd>
          {state.value !== null && <Facts state={state.value} />}
        </dl>
      )}
    </section>
  )
}

function Facts({ state }: { state: State }) {
  const { status, held, resolution, outcomeUnknown, attempts, retryCount, errorMessage, nextDueAt, version } =
    state
  return (
    <>
      <dt>It was</dt>
      <dd>
        <Status {...{ status, held, resolution, outcomeUnknown }} />{' '}
        <span class="quiet">with {version} events by then</span>
      </dd>
      <dt>Attempts</dt>
      <dd>
        {attempts}, of which {retryCount} retries since received or replayed
      </dd>
      {errorMessage !== null && (
        <>
          <dt>Last error</dt>
          <dd class="words">
            <Foreign text={errorMessage} />
          </dd>
        </>
      )}
      {nextDueAt !== null && (
        <>
          <dt>Next attempt</dt>
          <dd>
            <BothTimes at={nextDueAt} />
          </dd>
        </>
      )}
    </>
  )
}
