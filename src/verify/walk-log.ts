import type pg from 'pg'
import type { Archives } from './archives.ts'
import type { Acknowledgements } from './acknowledgements.ts'
import { checkActors } from './check-actors.ts'
import { ArchivedInbox } from './check-archived.ts'
import { checkAttempts, checkLastAttempt } from './check-attempts.ts'
import type { Concurrency } from './concurrency.ts'
import type { Identities } from './identities.ts'
import { checkDoubt } from './check-doubt.ts'
import type { Ledger } from './ledger.ts'
import type { Holds } from './holds.ts'
import { checkMessageDecisions } from './check-message-decisions.ts'
import type { Jobs } from './jobs.ts'
import type { Rates } from './rates.ts'
import { checkExpunged, checkPayload } from './check-payloads.ts'
import { checkColumns, checkState } from './check-projection.ts'
import type { Records } from './records.ts'
import type { Rollups } from './rollups.ts'
import { checkSchedule } from './check-schedule.ts'
import { checkSequence } from './check-sequence.ts'
import type { Destinations } from './destinations.ts'
import type { LogEvent, Status, StoredRecord, StoredState } from './event.ts'
import { fold } from './fold.ts'
import type { Invariants } from './invariants.ts'
import type { LostWindows } from './lost-windows.ts'
import { nameOf, newMessage, type Message } from './message.ts'
import { readArchived } from './read-archived.ts'
import { readLog } from './read-log.ts'
import type { FindActor } from './settings.ts'
import { inKeyOrder } from './in-snapshot.ts'

/** What each event or message is handed to, besides the checks of the walk itself. */
export type Checks = {
  readonly invariants: Invariants
  readonly findActor: FindActor
  readonly windows: LostWindows
  readonly destinations: Destinations
  readonly holds: Holds
  readonly rates: Rates
  readonly jobs: Jobs
  readonly legal: ReadonlySet<string>
  readonly records: Records
  readonly identities: Identities
  readonly concurrency: Concurrency
  readonly rollups: Rollups
  readonly acknowledgements: Acknowledgements | null
  readonly ledger: Ledger | null
}

export type Walked = { events: number; messages: number; counts: Record<Status, number> }

/**
 * Reads the whole log once, message by message, and checks each event against the events before it: first the archives that were
 * given, then the database.
 */
export async function walkLog(client: pg.Client, archives: Archives, checks: Checks): Promise<Walked> {
  const walked: Walked = {
    events: 0,
    messages: 0,
    counts: { pending: 0, processing: 0, success: 0, failed: 0, dead_letter: 0 },
  }
  for (const { folder } of archives.given)
    if (folder !== null) await walkArchive(client, folder, checks, walked)
  let current: { message: Message; state: StoredState | null } | undefined
  const end = (): void => {
    if (current === undefined) return
    checkState(current.message, current.state, checks.invariants)
    endMessage(current.message, checks, walked)
  }
  await inKeyOrder(client, () =>
    readLog(client, (event, record, state) => {
      if (current?.message.messageId !== event.messageId) {
        end()
        current = { message: newMessage(event), state }
      }
      walked.events++
      checkEvent(current.message, event, record, checks)
    }),
  )
  end()
  return walked
}

/** An archived message has no row in the projection any more. */
async function walkArchive(client: pg.Client, folder: string, checks: Checks, walked: Walked): Promise<void> {
  const inbox = new ArchivedInbox(client, checks.invariants)
  let message: Message | undefined
  const end = (): void => {
    if (message === undefined) return
    if (message.status !== 'success' && message.status !== 'dead_letter')
      checks.invariants.S4.differ(nameOf(message), message.version, `is archived, but is ${message.status}`)
    endMessage(message, checks, walked)
  }
  for await (const piece of readArchived(folder)) {
    for (const [event, record] of piece) {
      if (message?.messageId !== event.messageId) {
        end()
        message = newMessage(event)
      }
      walked.events++
      checkEvent(message, event, record, checks)
      inbox.add(event)
    }
    if (inbox.isFull) await inbox.check()
  }
  end()
  await inbox.check()
}

function checkEvent(message: Message, event: LogEvent, record: StoredRecord | null, checks: Checks): void {
  const { invariants, findActor, destinations } = checks
  const isSpared = destinations.spare(event)
  checkSequence(message, event, checks.legal, invariants)
  checkActors(message, event, findActor, invariants)
  checkAttempts(message, event, checks.windows, invariants)
  checkSchedule(message, event, checks)
  checkMessageDecisions(message, event, invariants)
  checkDoubt(message, event, findActor, invariants)
  checks.holds.check(message, event)
  checks.rates.check(message, event)
  checks.jobs.add(message, event)
  checks.concurrency.check(message, event)
  checks.records.check(message, event)
  checks.acknowledgements?.check(event)
  checks.rollups.add(message, event)
  fold(message, event, isSpared)
  checkColumns(message, event, invariants)
  checkPayload(message, event, record, invariants)
}

function endMessage(message: Message, checks: Checks, walked: Walked): void {
  walked.messages++
  if (message.status !== 'none') walked.counts[message.status]++
  checkLastAttempt(message, checks.invariants)
  checkExpunged(message, checks.invariants)
  checks.rollups.addMessage(message)
  checks.concurrency.leave(message)
  const identity = checks.identities.add(message)
  if (identity !== null) checks.ledger?.check(message, identity)
}
