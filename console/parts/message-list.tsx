import { useSignal } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { ask, type Fault } from '../api/ask.ts'
import { followChanges } from '../api/follow-changes.ts'
import {
  messagesOperation,
  type ChangesVariables,
  type MessagesResult,
  type MessagesVariables,
} from '../api/operations.ts'
import { mayDecide } from '../api/session.ts'
import { DecisionForMany } from './decision.tsx'
import { formatEstimate } from './format.ts'
import { MessageTable } from './message-table.tsx'
import { FaultNotice, Notice, sentenceOf } from './notice.tsx'

type Props = {
  readonly caption: string
  readonly filter: MessagesVariables['filter']
  /** What is said where there is none. */
  readonly empty: string
  /** Told whenever what is in the list may be another. */
  readonly onChange?: () => void
}

type Types = NonNullable<ChangesVariables['types']>

// What moves a message into a list of dead letters, or out of it.
const changing: Types = [
  'ATTEMPT_FAILED',
  'DEAD_LETTERED',
  'REJECTED',
  'CONFLICT_RECEIVED',
  'CANCELLED',
  'RESOLVED',
  'REOPENED',
  'REPLAYED',
  'EXPUNGED',
  'LATE_RESULT_OBSERVED',
]

// What does so beside it in a list of messages that may still be attempted.
const changingOthers: Types = ['SUCCEEDED', 'ATTEMPT_ABANDONED', 'INQUIRED', 'HELD', 'RELEASED']

const againMs = 5_000

/** The list may be there although its length is not. */
const isOfTotal = ({ path }: Fault): boolean => path?.at(-1) === 'totalCount'

/**
 * Messages of a filter, the last changed first, a page at a time. It stays as it is while a page behind the first is read or something
 * is chosen, and says when it is behind; else it is read anew as things happen. An operator decides about those that are chosen.
 */
export function MessageList({ caption, filter, empty, onChange }: Props) {
  const page = useSignal<NonNullable<MessagesResult['messages']> | null>(null)
  /** The cursors of the pages before this one. */
  const way = useSignal<readonly (string | null)[]>([null])
  const chosen = useSignal<ReadonlySet<string>>(new Set())
  const isBehind = useSignal(false)
  const fault = useSignal<string | null>(null)
  const open = useSignal<'replay' | 'resolve' | null>(null)
  const done = useSignal<string | null>(null)
  /** The cursors of the page that was asked for last, which of all it was, whether its answer is still to come, and what then. */
  const asked = useRef({ way: way.value, count: 0, isOpen: false, isOld: false })

  /** Whether the reader is at work with what is shown, so that it must not change by itself. */
  const isInUse = (): boolean => asked.current.way.length > 1 || chosen.value.size > 0 || open.value !== null

  const load = async (cursors: readonly (string | null)[], isByItself = false): Promise<void> => {
    const count = asked.current.count + 1
    asked.current = { way: cursors, count, isOpen: true, isOld: false }
    try {
      const variables = { filter, orderBy: 'UPDATED_DESC', after: cursors.at(-1) ?? null } as const
      const { messages } = (await ask(messagesOperation, variables, isOfTotal)).data
      // Another page was asked for meanwhile, or this one again: its answer is younger.
      if (asked.current.count !== count) return
      if (isByItself && isInUse()) {
        isBehind.value = true
        return
      }
      way.value = cursors
      page.value = messages
      chosen.value = new Set()
      isBehind.value = false
      fault.value = null
    } catch (error) {
      if (asked.current.count !== count) return
      asked.current.way = way.value
      fault.value = sentenceOf(error)
    } finally {
      const { isOld } = asked.current
      if (asked.current.count === count) asked.current.isOpen = false
      if (asked.current.count === count && isOld) renew()
    }
  }
  const renew = (): void => {
    onChange?.()
    if (isInUse()) isBehind.value = true
    else if (asked.current.isOpen) asked.current.isOld = true
    else void load([null], true)
  }
  // What could not be read is read again: no event may come to say when it can.
  useEffect(() => {
    if (fault.value === null) return undefined
    const timer = setInterval(renew, againMs)
    return () => clearInterval(timer)
  }, [fault.value === null])
  useEffect(() => {
    void load([null])
    const isOfLetters = filter.status?.every((status) => status === 'DEAD_LETTER') === true
    return followChanges(isOfLetters ? changing : [...changing, ...changingOthers], renew)
  }, [])

  const found = page.value
  const nodes = found?.nodes ?? []
  const ids = [...chosen.value]
  const allReplayable = ids.every((id) => nodes.some((each) => each.transactionId === id && each.replayable))
  const choose = (id: string, is: boolean): void => {
    chosen.value = new Set([...[...chosen.value].filter((each) => each !== id), ...(is ? [id] : [])])
  }
  return (
    <>
      <FaultNotice fault={fault.value} isOld={found !== null} />
      {done.value !== null && <Notice tone="good">{done.value}</Notice>}
      {isBehind.value && (
        <Notice tone="calm">
          Something has changed since.{' '}
          <button type="button" onClick={() => void load([null])}>
            Show the list as it is now
          </button>
        </Notice>
      )}
      {found === null && fault.value === null && <p role="status">Reading …</p>}
      {found !== null && nodes.length === 0 && <p class="quiet">{empty}</p>}
      {nodes.length > 0 && (
        <MessageTable
          caption={`${caption}: ${formatEstimate(found?.totalCount)}`}
          messages={nodes}
          {...(mayDecide.value ? { chosen: chosen.value, choose } : {})}
        />
      )}
      <div class="row">
        {mayDecide.value && nodes.length > 0 && (
          <>
            <button
              type="button"
              onClick={() => {
                chosen.value = new Set(nodes.map(({ transactionId }) => transactionId))
              }}
            >
              Choose all of this page
            </button>
            <button
              type="button"
              disabled={ids.length === 0 || !allReplayable}
              onClick={() => (open.value = 'replay')}
            >
              Replay {ids.length} …
            </button>
            <button type="button" disabled={ids.length === 0} onClick={() => (open.value = 'resolve')}>
              Resolve {ids.length} …
            </button>
          </>
        )}
        {way.value.length > 1 && (
          <button type="button" onClick={() => void load(way.value.slice(0, -1))}>
            Page before
          </button>
        )}
        {found?.pageInfo.hasNextPage === true && (
          <button type="button" onClick={() => void load([...way.value, found.pageInfo.endCursor])}>
            Next page
          </button>
        )}
      </div>
      {open.value !== null && (
        <DecisionForMany
          name={open.value}
          transactionIds={ids}
          inDoubt={nodes.some((each) => chosen.value.has(each.transactionId) && each.outcomeUnknown)}
          onClose={(isDone) => {
            if (isDone) done.value = `${open.value === 'replay' ? 'Replayed' : 'Resolved'}: ${ids.length}.`
            open.value = null
            // A refusal may have been of some of them alone.
            void load(way.value)
          }}
        />
      )}
    </>
  )
}
