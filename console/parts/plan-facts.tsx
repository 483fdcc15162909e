import type { PlanReplayResult } from '../api/operations.ts'
import { formatCount, formatName } from './format.ts'
import { BothTimes } from './time.tsx'
import { Foreign } from './foreign.tsx'

export type Plan = Required<Omit<PlanReplayResult['planReplay'], 'text'>>

const patternsMax = 8

/** What a plan chose: how many, why they are dead letters, and what of them is in doubt or cannot be sent. */
export function PlanFacts({ plan }: { plan: Plan }) {
  const { count, byCause, byPattern, outcomeUnknown, pastKeyWindow, notReplayable, reason, expiresAt } = plan
  const hidden = byPattern.length - patternsMax
  return (
    <dl class="facts">
      <dt>Dead letters</dt>
      <dd>{formatCount(count)}</dd>
      <dt>By cause</dt>
      <dd>{byCause.map((each) => `${formatName(each.cause)}: ${formatCount(each.count)}`).join(', ')}</dd>
      <dt>By failure</dt>
      <dd class="words">
        {byPattern.slice(0, patternsMax).map((each) => (
          <div key={each.pattern}>
            <Foreign text={each.pattern} />: {formatCount(each.count)}
          </div>
        ))}
        {hidden > 0 && <div class="quiet">and {hidden === 1 ? 'one more' : `${hidden} more`}</div>}
      </dd>
      <dt>May have been paid</dt>
      <dd>{formatCount(outcomeUnknown)}</dd>
      <dt>Key may be forgotten</dt>
      <dd>{formatCount(pastKeyWindow)} of those</dd>
      <dt>Can never be sent</dt>
      <dd>{formatCount(notReplayable)}</dd>
      <dt>Why</dt>
      <dd class="words">
        <Foreign text={reason} />
      </dd>
      <dt>Start it until</dt>
      <dd>
        <BothTimes at={expiresAt} />
      </dd>
    </dl>
  )
}
