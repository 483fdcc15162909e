import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import type { Fault } from '../../api/ask.ts'
import { askAgain } from '../../api/ask-again.ts'
import { follow } from '../../api/follow.ts'
import {
  destinationNowOperation,
  nowOperation,
  standingOperation,
  type DestinationNowResult,
  type NowResult,
  type StandingResult,
} from '../../api/operations.ts'
import { FaultNotice, sentenceOfMissing } from '../../parts/notice.tsx'
import { noteServiceTime } from '../../parts/time.tsx'
import { Attention } from './attention.tsx'
import { Counts } from './counts.tsx'
import { Destination } from './destination.tsx'
import { Instances } from './instances.tsx'
import { Kafka } from './kafka.tsx'
import { Lag } from './lag.tsx'
import { Lanes } from './lanes.tsx'
import { Latency } from './latency.tsx'
import { findMissing } from './missing.ts'
import { Throughput } from './throughput.tsx'

export type NowMetrics = NonNullable<NowResult['metrics']>

/** How the service is doing: what needs somebody, then what flows. */
export function Now() {
  const metrics = useSignal<NowMetrics | null>(null)
  const faults = useSignal<readonly Fault[]>([])
  const fault = useSignal<string | null>(null)
  const destination = useSignal<DestinationNowResult['destination'] | null>(null)
  const standing = useSignal<StandingResult | null>(null)
  useEffect(() => {
    const leaves = [
      askAgain(standingOperation, {}, (data) => {
        standing.value = data
      }),
      follow(nowOperation, {
        variables: () => ({}),
        take: (data, found) => {
          if (data.metrics !== null) {
            noteServiceTime(data.metrics.at)
            metrics.value = data.metrics
            faults.value = found
          }
          if (found.length === 0 && data.metrics !== null) fault.value = null
          else fault.value ??= sentenceOfMissing(found)
        },
      }),
      follow(destinationNowOperation, {
        variables: () => ({}),
        take: (data) => {
          destination.value = data.destination
        },
      }),
    ]
    return () => {
      for (const leave of leaves) leave()
    }
  }, [])
  const now = metrics.value
  if (now === null)
    return fault.value === null ? (
      <p role="status">Waiting for the first figures …</p>
    ) : (
      <FaultNotice fault={fault.value} isOld={false} />
    )
  const missing = findMissing(now, faults.value)
  const shown = destination.value && { ...destination.value, ...standing.value?.destination }
  return (
    <>
      <FaultNotice fault={fault.value} isOld={missing.length === 0} />
      <Attention
        now={now}
        missing={missing}
        destination={shown}
        jobs={standing.value?.replayJobs.nodes ?? null}
      />
      <Counts now={now} isDueKnown={!missing.includes('the oldest due')} />
      <Throughput now={now} />
      <div class="columns">
        {shown !== null && <Destination destination={shown} counts={now.counts} />}
        <Latency now={now} />
        <Lanes now={now} />
        <Kafka now={now} />
      </div>
      <Lag now={now} />
      <Instances now={now} />
    </>
  )
}
