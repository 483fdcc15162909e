import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { follow } from '../../api/follow.ts'
import {
  destinationNowOperation,
  nowOperation,
  type DestinationNowResult,
  type NowResult,
} from '../../api/operations.ts'
import { Attention } from './attention.tsx'
import { Counts } from './counts.tsx'
import { Destination } from './destination.tsx'
import { Lag } from './lag.tsx'
import { Lanes } from './lanes.tsx'
import { Latency } from './latency.tsx'
import { Throughput } from './throughput.tsx'

export type NowMetrics = NonNullable<NowResult['metrics']>

/** How the service is doing: what needs somebody, then what flows. */
export function Now() {
  const metrics = useSignal<NowMetrics | null>(null)
  const destination = useSignal<DestinationNowResult['destination'] | null>(null)
  useEffect(() => {
    const leaves = [
      follow(nowOperation, {
        variables: () => ({}),
        take: (data) => {
          metrics.value = data.metrics
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
  if (now === null) return <p role="status">Waiting for the first figures …</p>
  return (
    <>
      <Attention now={now} destination={destination.value} />
      <Counts now={now} />
      <Throughput now={now} />
      <div class="columns">
        {destination.value !== null && <Destination destination={destination.value} />}
        <Latency now={now} />
        <Lanes now={now} />
      </div>
      <Lag now={now} />
    </>
  )
}
