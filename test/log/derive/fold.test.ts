import fc from 'fast-check'
import t from 'tap'
import { countByStatus } from '../../../src/log/read/count-by-status.ts'
import { countDecided } from '../../../src/log/read/count-decided.ts'
import { abandon, findExpired } from '../../../src/log/write/abandon.ts'
import { decideMessage } from '../../../src/log/write/decide-message.ts'
import { expunge } from '../../../src/log/write/expunge.ts'
import type { DecodedRecord } from '../../../src/log/write/ingest.ts'
import { replay } from '../../../src/log/write/replay.ts'
import type { Decision } from '../../../src/message/decide.ts'
import { deadLetterCauses, type MessageId } from '../../../src/message/message.ts'
import type { Outcome } from '../../../src/message/outcome.ts'
import { database } from '../../support/database.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import { fold, type LoggedEvent } from '../fold.ts'
import {
  accepted,
  deadLetter,
  lookOnce,
  newName,
  noGrace,
  record,
  refused,
  rejectedRecord,
  retryAtOnce,
  settle,
  settlement,
  store,
  unavailable,
  unknown,
} from '../support.ts'

const { pool } = await database(t)

// A lease that has ended when it begins, so that any open attempt may be abandoned at any time.
const ended = { ...noGrace, leaseMs: 0 }
const outcomes: Outcome[] = [accepted, unavailable, refused, unknown]

type Attempt = { messageId: MessageId; attempt: number; actor: string }

/** One run's messages and the attempts it knows of, open or long gone: what a real service could still report. */
type World = { names: string[]; attempts: Attempt[]; partition: number; offset: number }

let partitions = 5_000

const pick = <T>(values: readonly T[], at: number): T | undefined => values[at % values.length]

const instance = fc.constantFrom('instance-1', 'instance-2')
const bring = fc.record({
  act: fc.constant('bring' as const),
  records: fc.array(
    fc.record({ kind: fc.constantFrom('new', 'new', 'known', 'conflict', 'rejected'), which: fc.nat(100) }),
    { minLength: 1, maxLength: 6 },
  ),
  room: fc.nat(4),
  instance,
})
const lookFor = fc.record({
  act: fc.constant('look' as const),
  lane: fc.constantFrom('fresh' as const, 'retry' as const),
  instance,
  room: fc.integer({ min: 1, max: 4 }),
})
const report = fc.record({
  act: fc.constant('report' as const),
  which: fc.nat(100),
  outcome: fc.constantFrom(...outcomes),
  isLast: fc.boolean(),
})
const takeOver = fc.record({
  act: fc.constant('takeOver' as const),
  instance,
  rowsMax: fc.integer({ min: 1, max: 3 }),
  isLast: fc.boolean(),
})
const reopen = fc.record({
  act: fc.constant('replay' as const),
  which: fc.nat(100),
  requestKey: fc.option(fc.constantFrom('k1', 'k2')),
})

const remove = fc.record({ act: fc.constant('expunge' as const), which: fc.nat(100) })

const decideOne = fc.record({
  act: fc.constant('decide' as const),
  which: fc.nat(100),
  kind: fc.constantFrom(
    'hold' as const,
    'release' as const,
    'cancel' as const,
    'resolve' as const,
    'reopen' as const,
  ),
})

const operations = fc.array(
  fc.oneof(
    { arbitrary: bring, weight: 4 },
    { arbitrary: lookFor, weight: 3 },
    { arbitrary: report, weight: 6 },
    { arbitrary: takeOver, weight: 2 },
    { arbitrary: reopen, weight: 1 },
    { arbitrary: remove, weight: 1 },
    { arbitrary: decideOne, weight: 5 },
  ),
  { minLength: 20, maxLength: 60 },
)

type Operation = typeof operations extends fc.Arbitrary<(infer Each)[]> ? Each : never

async function perform(world: World, operation: Operation): Promise<void> {
  switch (operation.act) {
    case 'bring': {
      const { room, records } = operation
      const lane = `${operation.instance}/fresh`
      const decoded = records.map(({ kind, which }) => newRecord(world, kind, which))
      const { claims } = await store(pool, decoded, { room, lane, partition: world.partition, leaseMs: 0 })
      for (const claim of claims) world.attempts.push({ ...claim, actor: lane })
      return
    }
    case 'look': {
      const as = `${operation.instance}/${operation.lane}`
      const { claims } = await lookOnce(pool, operation.lane, { as, room: operation.room, lease: ended })
      for (const claim of claims) world.attempts.push({ ...claim, actor: as })
      return
    }
    case 'report': {
      const attempt = pick(world.attempts, operation.which)
      if (attempt === undefined) return
      const { outcome } = operation
      const decision = decideOn(outcome, operation.isLast)
      await settle(pool, attempt.actor, [settlement(attempt.messageId, attempt.attempt, outcome, decision)])
      return
    }
    case 'takeOver': {
      const found = await findExpired(pool, ended, '-infinity', operation.rowsMax)
      const decision = operation.isLast ? deadLetter : retryAtOnce
      const abandonments = found.map((expired) => ({ expired, decision }))
      await abandon(pool, `${operation.instance}/retry`, abandonments, ended)
      return
    }
    case 'replay': {
      const transactionId = pick(world.names, operation.which)
      if (transactionId === undefined) return
      const { requestKey } = operation
      await replay(pool, { transactionId, actor: 'alice', reason: 'why', requestKey })
      return
    }
    case 'expunge': {
      const transactionId = pick(world.names, operation.which)
      if (transactionId !== undefined) await expunge(pool, { transactionId, actor: 'alice', reason: 'why' })
      return
    }
    case 'decide': {
      const transactionId = pick(world.names, operation.which)
      if (transactionId === undefined) return
      const { kind } = operation
      const decision = kind === 'resolve' ? { kind, as: 'ignored' as const, evidence: null } : { kind }
      await decideMessage(pool, { transactionId, decision, actor: 'alice', reason: 'why' })
    }
  }
}

function newRecord(world: World, kind: string, which: number): DecodedRecord {
  const offset = world.offset++
  if (kind === 'rejected') return rejectedRecord(offset, 'x', world.partition)
  const known = pick(world.names, which)
  if (kind !== 'new' && known !== undefined) {
    return record(offset, known, { bytes: kind === 'known' ? 'first' : 'other' })
  }
  const name = newName()
  world.names.push(name)
  return record(offset, name)
}

function decideOn(outcome: Outcome, isLast: boolean): Decision {
  if (outcome.kind === 'accepted') return { then: 'success' }
  return outcome.kind === 'refused' || isLast ? deadLetter : retryAtOnce
}

const times = (columns: string[]): string => columns.map((column) => `${column}::text`).join(', ')

async function readLog(): Promise<Map<string, LoggedEvent[]>> {
  const { rows } = await pool.query<LoggedEvent>(
    `select message_id, version, type, actor, status, retry_count, attempt, outcome, reason, position, transaction_id,
       ${times(['due_at', 'recorded_at'])}
     from message_events order by message_id, version`,
  )
  const log = new Map<string, LoggedEvent[]>()
  for (const event of rows) log.set(event.message_id, [...(log.get(event.message_id) ?? []), event])
  return log
}

async function readStates(): Promise<Map<string, unknown>> {
  const { rows } = await pool.query<{ message_id: string }>(
    `select message_id, transaction_id, version, status, retry_count, attempts, claimed_by, error_message, outcome_unknown,
       position, coalesce(due_at, lease_ends_at)::text as due_at, ${times(['created_at', 'updated_at', 'recorded_at'])}
     from message_states`,
  )
  return new Map(rows.map((row) => [row.message_id, row]))
}

t.test(
  'after any legal operations the projection is the fold of the log, and so are the counts',
  async (t) => {
    await fc.assert(
      fc.asyncProperty(operations, async (run) => {
        const world: World = { names: [], attempts: [], partition: ++partitions, offset: 0 }
        for (const operation of run) await perform(world, operation)
        const [log, states] = [await readLog(), await readStates()]
        t.equal(states.size, log.size)
        const counts = { pending: 0, processing: 0, success: 0, failed: 0, dead_letter: 0 }
        for (const [messageId, events] of log) {
          const state = fold(events)
          counts[state.status as keyof typeof counts]++
          t.same(states.get(messageId), state)
        }
        t.strictSame(await countByStatus(pool), counts)
      }),
      { numRuns: 20, endOnFailure: true },
    )
  },
)

t.test('every attempt of the runs ended at most once, and the next started only after that', async (t) => {
  const open = new Set<string>()
  for (const events of (await readLog()).values()) {
    let attempt: number | null = null
    for (const event of events) {
      if (event.type === 'attempt_started') {
        t.equal(attempt, null)
        attempt = event.attempt
      } else if (['succeeded', 'attempt_failed', 'attempt_abandoned'].includes(event.type)) {
        t.equal(event.attempt, attempt)
        attempt = null
      }
    }
    if (attempt !== null) open.add(events[0]!.message_id)
  }
  const { rows } = await pool.query<{ message_id: string }>(
    `select message_id from message_states where status = 'processing'`,
  )
  t.strictSame(new Set(rows.map((row) => row.message_id)), open)
})

t.test('what was expunged is without bytes, is the only such, and is never on its way again', async (t) => {
  const { rows } = await pool.query<{
    status: string
    has_event: boolean
    is_expunged: boolean
    is_bare: boolean
  }>(
    `select s.status, r.payload_state = 'expunged' as is_expunged, r.payload is null and r.key is null as is_bare,
       exists (select from message_events e where e.message_id = s.message_id and e.type = 'expunged') as has_event
     from message_states s join records r using (message_id)`,
  )
  const expunged = rows.filter((row) => row.is_expunged)
  t.ok(expunged.length > 0, 'the runs have expunged something')
  t.ok(expunged.every((row) => row.is_bare && ['success', 'dead_letter'].includes(row.status)))
  t.strictSame(
    rows.filter((row) => row.has_event !== row.is_expunged),
    [],
  )
})

t.test(
  'no attempt starts of a message on hold or one that was cancelled, and what stands is counted',
  async (t) => {
    const openByCause = new Map<string, number>(deadLetterCauses.map((cause) => [cause, 0]))
    const stands = { openDeadLetters: 0, openByCause, resolvedDeadLetters: 0, onHold: 0 }
    for (const events of (await readLog()).values()) {
      let decision: string | null = null
      let status = ''
      let cause = ''
      for (const event of events) {
        if (event.type === 'attempt_started')
          t.notOk(decision === 'held' || decision === 'cancelled', { event })
        if (event.type === 'replayed') t.not(decision, 'resolved')
        if (['held', 'cancelled', 'resolved'].includes(event.type)) decision = event.type
        if (['released', 'reopened', 'replayed'].includes(event.type) || event.status === 'success')
          decision = null
        status = event.status
        cause = causeOf(event) ?? cause
      }
      if (decision === 'held') stands.onHold++
      if (status === 'dead_letter' && decision !== 'resolved')
        openByCause.set(cause, (openByCause.get(cause) ?? 0) + 1)
      if (status === 'dead_letter')
        stands[decision === 'resolved' ? 'resolvedDeadLetters' : 'openDeadLetters']++
    }
    t.strictSame(await countDecided(pool), stands)
    t.ok(
      [...openByCause.values()].filter((n) => n > 0).length >= 3,
      'the runs left dead letters of several causes',
    )
  },
)

/** Why this event made a message a dead letter; null where it did not. */
function causeOf({ type, version, reason }: LoggedEvent): string | null {
  if (type === 'rejected') return 'rejected_record'
  if (type === 'conflict_received') return version === 1 ? 'conflicting_record' : null
  if (type === 'cancelled') return 'cancelled'
  if (type !== 'dead_lettered') return null
  if (reason === 'refused') return 'refused'
  return reason?.startsWith('outcome unknown') === true ? 'outcome_unknown' : 'retries_exhausted'
}

t.test('a rebuild finds that nothing differs after the runs', async (t) => {
  t.strictSame(await rebuildAll(pool), [])
})
