import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { followChanges } from '../../api/follow-changes.ts'
import { follow } from '../../api/follow.ts'
import { destinationNowOperation } from '../../api/operations.ts'
import { Foreign } from '../../parts/foreign.tsx'
import { TransactionLink } from '../../parts/message-table.tsx'
import { FaultNotice, Notice, sentenceOf } from '../../parts/notice.tsx'
import { Badge } from '../../parts/status.tsx'
import { Time } from '../../parts/time.tsx'
import { download, writeCsv, writeJsonLines } from './export.ts'
import {
  beginJournal,
  isOver,
  operatorTypes,
  readOn,
  type Entry,
  type Journal,
  type Wanted,
} from './read-journal.ts'

// An export that is longer is cut, and says so: choose a shorter time.
const exportedMax = 10_000

/** The decisions that are wanted. It is read anew as decisions are made, unless older ones are being read. */
export function Entries({ wanted }: { wanted: Wanted }) {
  const journal = useSignal<Journal | null>(null)
  const pages = useSignal(0)
  const isBusy = useSignal(false)
  const isBehind = useSignal(false)
  const fault = useSignal<string | null>(null)
  const told = useSignal<string | null>(null)

  const attempt = async (act: () => Promise<void>): Promise<void> => {
    isBusy.value = true
    try {
      await act()
      fault.value = null
    } catch (error) {
      fault.value = sentenceOf(error)
    }
    isBusy.value = false
  }
  const begin = () =>
    attempt(async () => {
      journal.value = await readOn(beginJournal(wanted), wanted)
      pages.value = 1
      isBehind.value = false
    })
  const more = () =>
    attempt(async () => {
      if (journal.value !== null) journal.value = await readOn(journal.value, wanted)
      pages.value += 1
    })
  const exportAs = (ending: 'csv' | 'jsonl') =>
    attempt(async () => {
      // What is told of an export is of the last one that was asked for.
      told.value = null
      let all = await readOn(beginJournal(wanted), wanted)
      while (!isOver(all) && all.entries.length < exportedMax) all = await readOn(all, wanted)
      const entries = all.entries.slice(0, exportedMax)
      if (ending === 'csv') download('journal.csv', 'text/csv', writeCsv(entries))
      else download('journal.jsonl', 'application/jsonl', writeJsonLines(entries))
      told.value = isOver(all)
        ? `Exported: all ${entries.length}.`
        : `Exported: the newest ${entries.length}. Older ones are left out; choose a time.`
    })
  useEffect(() => {
    const renew = (): void => {
      if (pages.value > 1) isBehind.value = true
      else void begin()
    }
    void begin()
    const leaves = [
      followChanges(operatorTypes, renew),
      follow(destinationNowOperation, { variables: () => ({}), take: renew }),
    ]
    return () => {
      for (const leave of leaves) leave()
    }
  }, [])

  const found = journal.value
  return (
    <>
      <FaultNotice fault={fault.value} isOld={found !== null} />
      {told.value !== null && <Notice tone="good">{told.value}</Notice>}
      {isBehind.value && (
        <Notice tone="calm">
          Something was decided since.{' '}
          <button type="button" onClick={() => void begin()}>
            Show the newest
          </button>
        </Notice>
      )}
      {found === null && fault.value === null && <p role="status">Reading …</p>}
      {found?.entries.length === 0 && <p class="quiet">No decision was found so far.</p>}
      {found !== null && found.entries.length > 0 && <Table entries={found.entries} />}
      {found !== null && !isOver(found) && (
        <p class="quiet">The log was not looked through to its beginning: there may be older decisions.</p>
      )}
      <div class="row">
        {found !== null && !isOver(found) && (
          <button type="button" disabled={isBusy.value} onClick={() => void more()}>
            Look further back
          </button>
        )}
        <button type="button" disabled={isBusy.value} onClick={() => void exportAs('csv')}>
          Export as CSV
        </button>
        <button type="button" disabled={isBusy.value} onClick={() => void exportAs('jsonl')}>
          Export as JSON lines
        </button>
      </div>
    </>
  )
}

function Table({ entries }: { entries: readonly Entry[] }) {
  return (
    <div class="scroll" tabIndex={0} role="group" aria-label="Decisions">
      <table>
        <thead>
          <tr>
            <th scope="col">Time</th>
            <th scope="col">Who</th>
            <th scope="col">Decision</th>
            <th scope="col">About</th>
            <th scope="col">Reason</th>
          </tr>
        </thead>
        <tbody>
          {entries.map(({ at, by, actor, decision, transactionId, destination, reason, evidence }) => (
            <tr key={`${at} ${transactionId ?? ''} ${decision}`}>
              <td>
                <Time at={at} />
              </td>
              <td class="words">
                <Badge tone={by === 'guard' ? 'busy' : 'calm'}>{by}</Badge> <Foreign text={actor} />
              </td>
              <td>{decision}</td>
              <td>
                {transactionId === null ? (
                  <span>
                    destination <Foreign text={destination} />
                  </span>
                ) : (
                  <TransactionLink id={transactionId} />
                )}
              </td>
              <td class="words">
                <Foreign text={reason} />
                {evidence !== null && (
                  <span class="quiet">
                    {' '}
                    Evidence: <Foreign text={evidence} />
                  </span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
