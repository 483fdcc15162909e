import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { follow } from '../../api/follow.ts'
import { failuresOperation, type FailuresResult } from '../../api/operations.ts'
import { Foreign } from '../../parts/foreign.tsx'
import { formatCount } from '../../parts/format.ts'
import { TransactionLink } from '../../parts/message-table.tsx'
import { FaultNotice, sentenceOfMissing } from '../../parts/notice.tsx'
import { Time } from '../../parts/time.tsx'
import { link } from '../../router.ts'

type Metrics = NonNullable<FailuresResult['metrics']>
type Group = NonNullable<Metrics['topFailures']>[number]

// As many as the operation asks for.
const groupsMax = 50

const spans = [
  [900, '15 minutes'],
  [3_600, 'hour'],
  [86_400, '24 hours'],
  [604_800, '7 days'],
] as const

/** Failures by their reason with ids and numbers taken out, the most frequent first. */
export function Groups() {
  const lastSeconds = useSignal(3_600)
  const groups = useSignal<readonly Group[] | null>(null)
  const fault = useSignal<string | null>(null)
  useEffect(
    () =>
      follow(failuresOperation, {
        variables: () => ({ lastSeconds: lastSeconds.value }),
        take: ({ metrics }, faults) => {
          const top = metrics?.topFailures ?? null
          if (top !== null) groups.value = top
          fault.value = top === null ? (fault.value ?? sentenceOfMissing(faults)) : null
        },
      }),
    [lastSeconds.value],
  )
  const found = groups.value
  return (
    <section aria-label="Failures in groups">
      <label class="narrow">
        In the last
        <select
          value={String(lastSeconds.value)}
          onChange={(event) => {
            groups.value = null
            lastSeconds.value = Number(event.currentTarget.value)
          }}
        >
          {spans.map(([seconds, words]) => (
            <option key={seconds} value={seconds}>
              {words}
            </option>
          ))}
        </select>
      </label>
      <FaultNotice fault={fault.value} isOld={found !== null} />
      {found === null && fault.value === null && <p role="status">Reading …</p>}
      {found?.length === 0 && <p class="notice good">Nothing failed in this time.</p>}
      {found?.length === groupsMax && (
        <p class="quiet">These are the {groupsMax} most frequent groups. Others are left out.</p>
      )}
      {found !== null && found.length > 0 && (
        <div class="scroll" tabIndex={0} role="group" aria-label="Groups of failures">
          <table>
            <thead>
              <tr>
                <th scope="col">Reason, with ids and numbers taken out</th>
                <th scope="col" class="number">
                  Count
                </th>
                <th scope="col">Trend</th>
                <th scope="col">First</th>
                <th scope="col">Last</th>
                <th scope="col">Newest examples</th>
              </tr>
            </thead>
            <tbody>
              {found.map((group) => (
                <Row key={group.pattern} group={group} />
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function Row({ group: { pattern, count, trend, firstAt, lastAt, examples } }: { group: Group }) {
  return (
    <tr>
      <th scope="row" class="words">
        <a href={link('failures', pattern)}>
          <Foreign text={pattern} />
        </a>
      </th>
      <td class="number">{formatCount(count)}</td>
      <td>
        <Trend counts={trend.map(Number)} />
      </td>
      <td>
        <Time at={firstAt} />
      </td>
      <td>
        <Time at={lastAt} />
      </td>
      <td class="words">
        {examples.map(({ transactionId, outcomeUnknown }) => (
          <div key={transactionId}>
            <TransactionLink id={transactionId} />
            {outcomeUnknown && <span class="quiet"> may have been paid</span>}
          </div>
        ))}
      </td>
    </tr>
  )
}

/** Twelve bars, and in words whether it grows: by its last third and the third before. */
function Trend({ counts }: { counts: readonly number[] }) {
  const most = Math.max(1, ...counts)
  const sum = (part: readonly number[]): number => part.reduce((total, each) => total + each, 0)
  const [before, last] = [sum(counts.slice(4, 8)), sum(counts.slice(8))]
  const words = last > before ? 'growing' : last < before ? 'falling' : 'steady'
  return (
    <span class="badges">
      <span class="spark" aria-hidden="true">
        {counts.map((each, at) => (
          <span key={at} style={{ height: `${Math.max(5, (each / most) * 100)}%` }} />
        ))}
      </span>
      {words}
    </span>
  )
}
