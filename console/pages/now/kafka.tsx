import { Fragment } from 'preact'
import { Foreign } from '../../parts/foreign.tsx'
import { formatName } from '../../parts/format.ts'
import { Badge } from '../../parts/status.tsx'
import { Age, BothTimes } from '../../parts/time.tsx'
import type { NowMetrics } from './now.tsx'

/** How the instance that answers this page stands with Kafka. */
export function Kafka({ now: { kafka } }: { now: NowMetrics }) {
  return (
    <section aria-labelledby="kafka">
      <h2 id="kafka">Kafka, this instance</h2>
      {kafka === null ? <p class="quiet">Not known.</p> : <Facts kafka={kafka} />}
    </section>
  )
}

function Facts({ kafka }: { kafka: NonNullable<NowMetrics['kafka']> }) {
  const { topic, connected, since, reason, state, lastFetchAt, lastHeartbeatAt, assigned, waiting } = kafka
  return (
    <dl class="facts">
      <dt>Connection</dt>
      <dd>
        <Badge tone={connected ? 'good' : 'bad'}>{connected ? 'connected' : 'not connected'}</Badge> for{' '}
        <Age since={since} />
      </dd>
      {reason !== null && (
        <>
          <dt>Why</dt>
          <dd class="words">
            <Foreign text={reason} />
          </dd>
        </>
      )}
      <dt>Consumer</dt>
      <dd>{formatName(state)}</dd>
      <dt>Topic</dt>
      <dd class="words">
        <Foreign text={topic} />
      </dd>
      <dt>Partitions</dt>
      <dd>{assigned.length === 0 ? 'holds none' : assigned.join(', ')}</dd>
      {waiting.map((each) => (
        <Fragment key={each.partition}>
          <dt>Partition {each.partition} waits</dt>
          <dd class="words">
            <Foreign text={each.reason} />
          </dd>
        </Fragment>
      ))}
      <dt>Last fetch</dt>
      <dd>{lastFetchAt === null ? 'none so far' : <BothTimes at={lastFetchAt} />}</dd>
      <dt>Last heartbeat</dt>
      <dd>{lastHeartbeatAt === null ? 'none so far' : <BothTimes at={lastHeartbeatAt} />}</dd>
    </dl>
  )
}
