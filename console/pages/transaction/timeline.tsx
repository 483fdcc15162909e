import { Fragment } from 'preact'
import { Foreign } from '../../parts/foreign.tsx'
import { formatCount, formatDuration, formatName } from '../../parts/format.ts'
import { TransactionLink } from '../../parts/message-table.tsx'
import { Badge, type Tone } from '../../parts/status.tsx'
import { BothTimes, Time } from '../../parts/time.tsx'
import { link } from '../../router.ts'
import type { Event } from './read-life.ts'

const tones: Readonly<Partial<Record<Event['type'], Tone>>> = {
  SUCCEEDED: 'good',
  ATTEMPT_STARTED: 'busy',
  ATTEMPT_FAILED: 'wait',
  ATTEMPT_ABANDONED: 'bad',
  DEAD_LETTERED: 'bad',
  CONFLICT_RECEIVED: 'bad',
  REJECTED: 'bad',
  CANCELLED: 'bad',
  HELD: 'bad',
}

type Props = {
  readonly events: readonly Event[]
  /** Reads those after this version that are left out. */
  readonly readAfter: (version: number) => Promise<void>
}

/** What happened, in order. The gap before an event is a bar, to the scale of the longest one; before it others may be left out. */
export function Timeline({ events, readAfter }: Props) {
  const gaps = events.map((event, at) => {
    const before = events[at - 1]
    return before?.version === event.version - 1
      ? Date.parse(event.recordedAt) - Date.parse(before.recordedAt)
      : null
  })
  const longest = Math.max(1, ...gaps.map((gap) => gap ?? 0))
  return (
    <section aria-labelledby="timeline">
      <h2 id="timeline">What happened</h2>
      <div class="scroll" tabIndex={0} role="group" aria-labelledby="timeline">
        <table class="timeline">
          <thead>
            <tr>
              <th scope="col" class="number">
                No.
              </th>
              <th scope="col">Time</th>
              <th scope="col">After</th>
              <th scope="col">Event</th>
              <th scope="col">By</th>
              <th scope="col">What became of it</th>
            </tr>
          </thead>
          <tbody>
            {events.map((event, at) => (
              <Fragment key={event.version}>
                <LeftOut before={events[at - 1]} event={event} readAfter={readAfter} />
                <tr>
                  <td class="number">{event.version}</td>
                  <td>
                    <BothTimes at={event.recordedAt} />
                  </td>
                  <td class="gap">
                    <span class="bar" style={{ width: `${((gaps[at] ?? 0) / longest) * 100}%` }} />
                    <span>{gaps[at] == null ? '' : `+ ${formatDuration(gaps[at])}`}</span>
                  </td>
                  <td>
                    <Badge tone={toneOf(event)}>{formatName(event.type)}</Badge>
                    {event.attempt !== null && <span class="quiet"> attempt {event.attempt}</span>}
                  </td>
                  <td class="words">
                    <Foreign text={event.actor} />
                  </td>
                  <td class="words">
                    <Details event={event} />
                  </td>
                </tr>
              </Fragment>
            ))}
          </tbody>
        </table>
      </div>
    </section>
  )
}

type LeftOutProps = Pick<Props, 'readAfter'> & { readonly before: Event | undefined; readonly event: Event }

/** How many events between these two are not shown, and the way to them. */
function LeftOut({ before, event, readAfter }: LeftOutProps) {
  const from = before?.version ?? 0
  const count = event.version - from - 1
  if (count === 0) return null
  return (
    <tr>
      <td colSpan={6}>
        {formatCount(count)} events in between are not shown.{' '}
        <button type="button" onClick={() => void readAfter(from)}>
          Show more
        </button>
      </td>
    </tr>
  )
}

/** A late result is as good as what it says. */
function toneOf({ type, outcome }: Event): Tone {
  if (type === 'LATE_RESULT_OBSERVED') return outcome === 'ACCEPTED' ? 'good' : 'wait'
  return tones[type] ?? 'calm'
}

function Details({ event }: { event: Event }) {
  const { outcome, statusCode, durationMs, reason, resolution, evidence, nextDueAt, source, conflict, job } =
    event
  const { inquiry, confirmedNotCarriedOut, reference, destination } = event
  const facts = [
    outcome !== null && formatName(outcome),
    statusCode !== null && `HTTP ${statusCode}`,
    durationMs !== null && `took ${formatDuration(durationMs)}`,
    resolution !== null && formatName(resolution),
    inquiry !== null && `the processor says: ${formatName(inquiry)}`,
    confirmedNotCarriedOut === true && 'the operator confirms that it was not carried out',
  ].filter((each) => each !== false)
  return (
    <>
      {facts.length > 0 && <span>{facts.join(', ')}. </span>}
      {reason !== null && (
        <span>
          <Foreign text={reason} />{' '}
        </span>
      )}
      {evidence !== null && (
        <span>
          Evidence: <Foreign text={evidence} />{' '}
        </span>
      )}
      {reference !== null && (
        <span>
          The processor calls it <Foreign text={reference} />.{' '}
        </span>
      )}
      {event.type === 'ATTEMPT_STARTED' && typeof destination?.url === 'string' && (
        <span class="quiet">
          To <Foreign text={destination.url} />{' '}
        </span>
      )}
      {source !== null && (
        <span class="quiet">
          Kafka <Foreign text={`${source.topic}:${source.partition}:${source.offset}`} />{' '}
        </span>
      )}
      {job !== null && (
        <a class="id" href={link('jobs', job)}>
          job {job}
        </a>
      )}
      {conflict !== null && <TransactionLink id={conflict.transactionId} />}
      {nextDueAt !== null && event.type === 'ATTEMPT_FAILED' && (
        <span class="quiet">
          Next attempt <Time at={nextDueAt} />
        </span>
      )}
    </>
  )
}
