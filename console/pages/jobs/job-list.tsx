import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { askAgain } from '../../api/ask-again.ts'
import { jobsOperation, type JobsResult } from '../../api/operations.ts'
import { formatCount, formatDuration, formatRate } from '../../parts/format.ts'
import { Time } from '../../parts/time.tsx'
import { link } from '../../router.ts'
import { describeKind, JobState } from './job-state.tsx'
import { Foreign } from '../../parts/foreign.tsx'

type Page = JobsResult['replayJobs']
type Line = Page['nodes'][number]

const figures = ['Planned', 'Replayed or resolved', 'Succeeded', 'Failed again', 'Skipped', 'Left'] as const

/** All jobs, newest first, a page at a time. The page that is shown is asked for again every two seconds. */
export function JobList() {
  const page = useSignal<Page | null>(null)
  /** The cursors of the pages up to this one. */
  const way = useSignal<readonly (string | null)[]>([null])
  const after = way.value.at(-1) ?? null
  useEffect(
    () =>
      askAgain(jobsOperation, { after }, ({ replayJobs }) => {
        page.value = replayJobs
      }),
    [after],
  )
  const found = page.value
  if (found === null) return <p role="status">Reading …</p>
  return (
    <section aria-label="Jobs">
      {found.nodes.length === 0 ? (
        <p class="quiet">
          There is no job. Plan one on the page <a href={link('failures')}>Failures</a>, from a group, or on{' '}
          <a href={link('dead-letters')}>Dead letters</a>.
        </p>
      ) : (
        <Table jobs={found.nodes} />
      )}
      <div class="row">
        {way.value.length > 1 && (
          <button type="button" onClick={() => (way.value = way.value.slice(0, -1))}>
            Page before
          </button>
        )}
        {found.pageInfo.hasNextPage && (
          <button type="button" onClick={() => (way.value = [...way.value, found.pageInfo.endCursor])}>
            Next page
          </button>
        )}
      </div>
    </section>
  )
}

function Table({ jobs }: { jobs: readonly Line[] }) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="Jobs in a table">
      <table>
        <caption>Newest first</caption>
        <thead>
          <tr>
            <th scope="col">Job</th>
            <th scope="col">State</th>
            {figures.map((each) => (
              <th key={each} scope="col" class="number">
                {each}
              </th>
            ))}
            <th scope="col" class="number">
              Rate
            </th>
            <th scope="col" class="number">
              Time left
            </th>
            <th scope="col">Who</th>
            <th scope="col">Why</th>
            <th scope="col">Started</th>
          </tr>
        </thead>
        <tbody>
          {jobs.map((job) => (
            <Row key={job.id} job={job} />
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Row({ job }: { job: Line }) {
  const { id, planned, replayed, skipped, left, rate, etaSeconds, actor, reason, startedAt } = job
  // What becomes of a resolution is no attempt.
  const isReplay = job.kind === 'REPLAY'
  return (
    <tr>
      <th scope="row">
        <a class="id" href={link('jobs', id)}>
          {id}
        </a>{' '}
        {describeKind(job)}
      </th>
      <td class="words">
        <JobState {...job} />
      </td>
      {[
        planned,
        replayed,
        isReplay ? job.succeeded : null,
        isReplay ? job.failedAgain : null,
        skipped,
        left,
      ].map((count, at) => (
        <td key={figures[at]} class="number">
          {formatCount(count)}
        </td>
      ))}
      <td class="number">{formatRate(rate)}</td>
      <td class="number">{formatSeconds(etaSeconds)}</td>
      <td class="words">
        <Foreign text={actor} />
      </td>
      <td class="words">
        <Foreign text={reason} />
      </td>
      <td>
        <Time at={startedAt} />
      </td>
    </tr>
  )
}

function formatSeconds(seconds: number | null): string {
  return formatDuration(seconds === null ? null : seconds * 1_000)
}
