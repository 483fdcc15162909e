import { useSignal } from '@preact/signals'
import { useEffect, useMemo } from 'preact/hooks'
import { ask } from '../../api/ask.ts'
import {
  failureGroupOperation,
  type FailureGroupResult,
  type MessagesVariables,
} from '../../api/operations.ts'
import { Foreign } from '../../parts/foreign.tsx'
import { formatEstimate } from '../../parts/format.ts'
import { MessageList } from '../../parts/message-list.tsx'
import { FaultNotice, sentenceOf } from '../../parts/notice.tsx'
import { oneAtATime } from '../../parts/one-at-a-time.ts'
import { PlanReplay } from '../../parts/plan-replay.tsx'
import { link, place } from '../../router.ts'

const againMs = 5_000

/** The messages whose last failure has this pattern, and what may be done about them. */
export function Group({ pattern }: { pattern: string }) {
  const counts = useSignal<FailureGroupResult | null>(null)
  const fault = useSignal<string | null>(null)
  const load = useMemo(
    () =>
      oneAtATime(async () => {
        try {
          counts.value = (await ask(failureGroupOperation, { pattern })).data
          fault.value = null
        } catch (error) {
          fault.value = sentenceOf(error)
        }
      }),
    [],
  )
  useEffect(load, [])
  // What could not be read is read again: no event may come to say when it can.
  useEffect(() => {
    if (fault.value === null) return undefined
    const timer = setInterval(load, againMs)
    return () => clearInterval(timer)
  }, [fault.value === null])
  const onlyOpen = place.value.search.get('shown') !== 'all'
  const filter: MessagesVariables['filter'] = {
    failurePattern: pattern,
    ...(onlyOpen ? { status: ['DEAD_LETTER'], resolved: false } : {}),
  }
  return (
    <section aria-label="One group of failures">
      <p>
        <a href={link('failures')}>All groups</a>
      </p>
      <p class="subject words">
        <Foreign class="id" text={pattern} />
      </p>
      <FaultNotice fault={fault.value} isOld={counts.value !== null} />
      {counts.value !== null && (
        <p>
          Of the messages whose last failure is this one, {formatEstimate(counts.value.all?.totalCount)} in
          all, {formatEstimate(counts.value.open?.totalCount)} are open dead letters, and{' '}
          {formatEstimate(counts.value.unknown?.totalCount)} may have been paid: the outcome of an attempt is
          unknown.
        </p>
      )}
      <p class="row">
        <a href={link('failures', pattern)} aria-current={onlyOpen ? 'true' : undefined}>
          Open dead letters
        </a>
        <a href={link('failures', pattern, { shown: 'all' })} aria-current={onlyOpen ? undefined : 'true'}>
          All messages
        </a>
      </p>
      {onlyOpen && <PlanReplay filter={filter} />}
      <MessageList
        key={String(onlyOpen)}
        caption={onlyOpen ? 'Open dead letters of this group' : 'Messages of this group'}
        filter={filter}
        onChange={load}
        empty={
          onlyOpen ? 'No dead letter of this group is open.' : 'No message has this as its last failure now.'
        }
      />
    </section>
  )
}
