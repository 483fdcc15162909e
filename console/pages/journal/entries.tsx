import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { askAgain } from '../../api/ask-again.ts'
import { ask } from '../../api/ask.ts'
import { journalOperation, recordExportMutation } from '../../api/operations.ts'
import { Foreign } from '../../parts/foreign.tsx'
import { TransactionLink } from '../../parts/message-table.tsx'
import { FaultNotice, Notice, sentenceOf } from '../../parts/notice.tsx'
import { Badge } from '../../parts/status.tsx'
import { Time } from '../../parts/time.tsx'
import { link } from '../../router.ts'
import { download, writeCsv, writeJsonLines } from './export.ts'
import {
  describe,
  nameSubject,
  readPage,
  toPage,
  type Entry,
  type Page,
  type Wanted,
} from './read-journal.ts'

const pageSize = 50
const exportedPageSize = 500
// An export that is longer is cut, and says so: choose a shorter time.
const exportedMax = 10_000

/** The decisions that are wanted. The newest page is asked for again every two seconds; while older ones are read it stays and says so. */
export function Entries({ wanted }: { wanted: Wanted }) {
  const journal = useSignal<Page | null>(null)
  /** The newest page as it is now. */
  const newest = useSignal<Page | null>(null)
  const isFurther = useSignal(false)
  const isBusy = useSignal(false)
  const fault = useSignal<string | null>(null)
  const told = useSignal<string | null>(null)
  useEffect(
    () =>
      askAgain(
        journalOperation,
        { filter: wanted, first: pageSize },
        (data) => {
          newest.value = toPage(data)
          if (!isFurther.value) journal.value = newest.value
        },
        (sentence) => (fault.value = sentence),
      ),
    [],
  )

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
  const more = ({ entries, end }: Page) =>
    attempt(async () => {
      isFurther.value = true
      const next = await readPage(wanted, end, pageSize)
      journal.value = { entries: [...entries, ...next.entries], end: next.end }
    })
  const exportAs = (ending: 'csv' | 'jsonl') =>
    attempt(async () => {
      // What is told of an export is of the last one that was asked for.
      told.value = null
      let page = await readPage(wanted, null, exportedPageSize)
      const entries = [...page.entries]
      while (page.end !== null && entries.length < exportedMax) {
        page = await readPage(wanted, page.end, exportedPageSize)
        entries.push(...page.entries)
      }
      await ask(recordExportMutation, { format: ending, rows: entries.length })
      if (ending === 'csv') download('journal.csv', 'text/csv', writeCsv(entries))
      else download('journal.jsonl', 'application/jsonl', writeJsonLines(entries))
      told.value =
        page.end === null
          ? `Exported: all ${entries.length}.`
          : `Exported: the newest ${entries.length}. Older ones are left out; choose a time.`
    })

  const found = journal.value
  const isBehind = isFurther.value && newest.value?.entries[0]?.id !== found?.entries[0]?.id
  const showNewest = (): void => {
    isFurther.value = false
    journal.value = newest.value
  }
  return (
    <>
      <FaultNotice fault={fault.value} isOld={found !== null} />
      {told.value !== null && <Notice tone="good">{told.value}</Notice>}
      {isBehind && (
        <Notice tone="calm">
          Something was decided since.{' '}
          <button type="button" onClick={showNewest}>
            Show the newest
          </button>
        </Notice>
      )}
      {found === null && fault.value === null && <p role="status">Reading …</p>}
      {found?.entries.length === 0 && <p class="quiet">No decision was found.</p>}
      {found !== null && found.entries.length > 0 && <Table entries={found.entries} />}
      <div class="row">
        {found !== null && found.end !== null && (
          <button type="button" disabled={isBusy.value} onClick={() => void more(found)}>
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
          {entries.map((entry) => (
            <tr key={entry.id}>
              <td>
                <Time at={entry.at} />
              </td>
              <td class="words">
                <Badge tone={entry.by === 'SERVICE' ? 'busy' : 'calm'}>{entry.by.toLowerCase()}</Badge>{' '}
                <Foreign text={entry.actor} />
              </td>
              <td class="words">
                <Foreign text={describe(entry)} />
              </td>
              <td class="words">
                <Subject entry={entry} />
              </td>
              <td class="words">
                <Foreign text={entry.reason} />
                {entry.evidence !== null && (
                  <span class="quiet">
                    {' '}
                    Evidence: <Foreign text={entry.evidence} />
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

function Subject({ entry }: { entry: Entry }) {
  if (entry.transactionId !== null) return <TransactionLink id={entry.transactionId} />
  if (entry.job !== null) return <a href={link('jobs', entry.job)}>job {entry.job}</a>
  return <Foreign text={nameSubject(entry)} />
}
