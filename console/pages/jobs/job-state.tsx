import type { JobsResult } from '../../api/operations.ts'
import { formatName } from '../../parts/format.ts'
import { Badge, toneOf } from '../../parts/status.tsx'
import { Foreign } from '../../parts/foreign.tsx'

type Shown = Pick<
  JobsResult['replayJobs']['nodes'][number],
  'kind' | 'resolution' | 'state' | 'waitsFor' | 'stoppedBecause'
>

/** How a job stands, and what it waits for or why it stopped. */
export function JobState({ state, waitsFor, stoppedBecause }: Shown) {
  return (
    <>
      <Badge tone={toneOf(state)}>{formatName(state)}</Badge>
      {waitsFor !== null && (
        <span>
          {' '}
          for: <Foreign text={waitsFor} />
        </span>
      )}
      {stoppedBecause !== null && (
        <span>
          {' '}
          because <Foreign text={stoppedBecause} />
        </span>
      )}
    </>
  )
}

/** What a job does with each dead letter of its plan. */
export function describeKind({ kind, resolution }: Pick<Shown, 'kind' | 'resolution'>): string {
  if (kind === 'REPLAY') return 'replay'
  return resolution === null ? 'resolve' : `resolve as ${formatName(resolution)}`
}
