import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { follow } from '../../api/follow.ts'
import { jobNowOperation, type JobNowResult } from '../../api/operations.ts'
import { formatCount, formatDuration, formatName, formatRate } from '../../parts/format.ts'
import { FaultNotice } from '../../parts/notice.tsx'
import { BothTimes } from '../../parts/time.tsx'
import { link } from '../../router.ts'
import { JobActions } from './job-actions.tsx'
import { JobEvents } from './job-events.tsx'
import { describeKind, JobState } from './job-state.tsx'
import { Foreign } from '../../parts/foreign.tsx'

export type JobNow = NonNullable<JobNowResult['replayJob']>

/** One job as it goes, what was decided about it, and the way to steer it. */
export function Job({ id }: { id: string }) {
  const told = useSignal<JobNowResult | null>(null)
  const fault = useSignal<string | null>(null)
  useEffect(
    () =>
      follow(jobNowOperation, {
        variables: () => ({ id }),
        take: (data) => {
          told.value = data
        },
        refuse: (sentence) => (fault.value = sentence),
      }),
    [],
  )
  const job = told.value?.replayJob
  return (
    <>
      <p>
        <a href={link('jobs')}>All jobs</a>
      </p>
      <FaultNotice fault={fault.value} isOld={false} />
      {job === undefined && fault.value === null && <p role="status">Reading …</p>}
      {job === null && (
        <p class="quiet">
          There is no job <Foreign text={id} />. If it is a plan, it is shown here once it is started.
        </p>
      )}
      {job && <Shown job={job} />}
    </>
  )
}

function Shown({ job }: { job: JobNow }) {
  const { id, planned, left, skippedBy, actor, reason, startedAt, endedAt, events } = job
  const workedOff = BigInt(planned) - BigInt(left)
  return (
    <>
      <section aria-labelledby="job">
        <h2 id="job">
          Job {id}: {describeKind(job)}
        </h2>
        <p class="words">
          <JobState {...job} />
        </p>
        <p class="row">
          <progress aria-label="Worked off" max={Number(planned)} value={Number(workedOff)} />
          {formatCount(String(workedOff))} of {formatCount(planned)}
        </p>
        <Figures job={job} />
        <dl class="facts">
          <dt>Started by</dt>
          <dd class="words">
            <Foreign text={actor} />
          </dd>
          <dt>Why</dt>
          <dd class="words">
            <Foreign text={reason} />
          </dd>
          <dt>Started</dt>
          <dd>
            <BothTimes at={startedAt} />
          </dd>
          {endedAt !== null && (
            <>
              <dt>Ended</dt>
              <dd>
                <BothTimes at={endedAt} />
              </dd>
            </>
          )}
          {skippedBy.length > 0 && (
            <>
              <dt>Skipped</dt>
              <dd>
                {skippedBy.map((each) => `${formatName(each.reason)}: ${formatCount(each.count)}`).join(', ')}
              </dd>
            </>
          )}
        </dl>
        <JobActions job={job} />
      </section>
      {events !== null && <JobEvents events={events.nodes} hasMore={events.pageInfo.hasNextPage} />}
    </>
  )
}

/** What became of the plan's dead letters so far. Only a replay has attempts and a pace. */
function Figures({ job }: { job: JobNow }) {
  const { kind, planned, replayed, succeeded, failedAgain, skipped, left, rate, etaSeconds, perSecond } = job
  const figures: readonly (readonly [string, string])[] = [
    ['Planned', formatCount(planned)],
    ...(kind === 'REPLAY'
      ? ([
          ['Replayed', formatCount(replayed)],
          ['Succeeded', formatCount(succeeded)],
          ['Failed again', formatCount(failedAgain)],
        ] as const)
      : ([['Resolved', formatCount(replayed)]] as const)),
    ['Skipped', formatCount(skipped)],
    ['Left', formatCount(left)],
    ['Rate', formatRate(rate)],
    ['Time left', formatDuration(etaSeconds === null ? null : etaSeconds * 1_000)],
    ...(kind === 'REPLAY'
      ? ([['Pace', perSecond === null ? 'as the room allows' : formatRate(perSecond)]] as const)
      : []),
  ]
  return (
    <dl class="tiles">
      {figures.map(([name, figure]) => (
        <div key={name}>
          <dt>{name}</dt>
          <dd class="figure">{figure}</dd>
        </div>
      ))}
    </dl>
  )
}
