import type pg from 'pg'
import t from 'tap'
import { countDecided } from '../../../src/log/read/count-decided.ts'
import { readDetails } from '../../../src/log/read/read-details.ts'
import {
  decideMessage,
  type DecisionAnswer,
  type MessageDecision,
} from '../../../src/log/write/decide-message.ts'
import { expunge } from '../../../src/log/write/expunge.ts'
import { foldCounts } from '../../../src/log/write/fold-counts.ts'
import { replay } from '../../../src/log/write/replay.ts'
import {
  deadLetterCauses,
  resolutions,
  type MessageId,
  type Resolution,
} from '../../../src/message/message.ts'
import { database } from '../../support/database.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import {
  accepted,
  deadLetter,
  fresh,
  idOf,
  lookOnce,
  newName,
  openAttempt,
  pendingMessage,
  record,
  refused,
  rejectedRecord,
  session,
  settleOne,
  startAttempt,
  stateOf,
  store,
  typesOf,
  unavailable,
  unknown,
  waitsFor,
} from '../support.ts'

const { pool, url } = await database(t)

const asResolved = (as: Resolution = 'carried_out', evidence: string | null = null): MessageDecision => ({
  kind: 'resolve',
  as,
  evidence,
})

async function decide(
  messageId: MessageId,
  decision: MessageDecision | 'hold' | 'release' | 'cancel' | 'reopen',
  { by = pool, actor = 'alice', reason = 'asked by the bank' } = {},
): Promise<DecisionAnswer> {
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  return decideMessage(by, {
    transactionId,
    decision: typeof decision === 'string' ? { kind: decision } : decision,
    actor,
    reason,
  })
}

async function askReplay(messageId: MessageId) {
  const { transaction_id: transactionId } = await stateOf(pool, messageId)
  return replay(pool, { transactionId, actor: 'bob', reason: 'mended', requestKey: null })
}

async function failedMessage(delayMs = 3_600_000): Promise<MessageId> {
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, unavailable, { then: 'retry', delayMs })
  return messageId
}

async function deadMessage(): Promise<MessageId> {
  const messageId = await openAttempt(pool)
  await settleOne(pool, fresh, messageId, 1, refused, deadLetter)
  return messageId
}

let partition = 2_000

/** A dead letter of each kind: refused, exhausted, rejected, conflicting, cancelled. */
async function lettersOfEachKind(): Promise<Record<string, MessageId>> {
  const exhausted = await openAttempt(pool)
  await settleOne(pool, fresh, exhausted, 1, unavailable, deadLetter)
  const name = newName()
  partition++
  await store(
    pool,
    [record(0, name), record(1, name, { bytes: 'other' }), rejectedRecord(2, 'x', partition)],
    {
      partition,
    },
  )
  const cancelled = await pendingMessage(pool)
  await decide(cancelled, 'cancel')
  return {
    refused: await deadMessage(),
    exhausted,
    rejected: await idOf(pool, `record:incoming:${partition}:2`),
    conflicting: await idOf(pool, `record:incoming:${partition}:1`),
    cancelled,
  }
}

type Decided = {
  type: string
  actor: string
  reason: string
  resolution: string | null
  evidence: string | null
}

async function lastEvent(
  messageId: MessageId,
): Promise<Decided & { due_at: Date | null; recorded_at: Date }> {
  const { rows } = await pool.query<Decided & { due_at: Date | null; recorded_at: Date }>(
    `select type, actor, reason, resolution, evidence, due_at, recorded_at from message_events
     where message_id = $1 order by version desc limit 1`,
    [messageId],
  )
  return rows[0]!
}

async function isClaimed(messageId: MessageId, by = pool): Promise<boolean> {
  for (const lane of ['fresh', 'retry'] as const) {
    const { claims } = await lookOnce(by, lane)
    if (claims.some((claim) => claim.messageId === messageId)) return true
  }
  return false
}

async function standing(messageId: MessageId): Promise<object[]> {
  const { rows } = await pool.query<object>(
    'select version, resolution from decided_messages where message_id = $1',
    [messageId],
  )
  return rows
}

for (const [status, make] of Object.entries({
  pending: () => pendingMessage(pool),
  failed: () => failedMessage(0),
}))
  t.test(
    `a ${status} message on hold keeps its status and is not claimed until it is released`,
    async (t) => {
      const messageId = await make()
      const before = await stateOf(pool, messageId)
      const version = before.version + 1
      t.strictSame(await decide(messageId, 'hold'), { kind: 'decided', version, status })
      const held = await stateOf(pool, messageId)
      t.match(held, { status, due_at: null, retry_count: before.retry_count, version })
      t.strictSame(held.updated_at, before.updated_at, 'no status, count or attempt changed')
      t.match(await lastEvent(messageId), { type: 'held', actor: 'alice', reason: 'asked by the bank' })
      t.strictSame(await standing(messageId), [{ version, resolution: null }])
      t.notOk(await isClaimed(messageId))
      const { rows: shown } = await pool.query(
        'select status, on_hold, next_retry_at from messages where message_id = $1',
        [messageId],
      )
      t.strictSame(shown, [{ status, on_hold: true, next_retry_at: null }])

      const released = await decide(messageId, 'release', { actor: 'bob', reason: 'cleared' })
      t.strictSame(released, { kind: 'decided', version: version + 1, status })
      t.match(await lastEvent(messageId), { type: 'released', actor: 'bob', reason: 'cleared' })
      t.strictSame(await standing(messageId), [])
      t.ok(await isClaimed(messageId))
    },
  )

t.test('a pending message that is released is due at once', async (t) => {
  const messageId = await pendingMessage(pool)
  await decide(messageId, 'hold')
  await decide(messageId, 'release')
  const { due_at, recorded_at } = await lastEvent(messageId)
  t.strictSame(due_at, recorded_at)
  await decide(messageId, 'cancel')
})

t.test('a failed message that is released waits for the rest of its backoff, and never less', async (t) => {
  const messageId = await failedMessage()
  const { due_at: before } = await stateOf(pool, messageId)
  await decide(messageId, 'hold')
  // Another record carries the hold on.
  const { transaction_id: id } = await stateOf(pool, messageId)
  await store(pool, [record(0, id)])
  t.strictSame(await typesOf(pool, messageId).then((types) => types.slice(-2)), [
    'held',
    'duplicate_received',
  ])
  t.match(await stateOf(pool, messageId), { status: 'failed', due_at: null })
  await decide(messageId, 'release')
  t.strictSame((await stateOf(pool, messageId)).due_at, before)
  t.notOk(await isClaimed(messageId))
  await decide(messageId, 'hold')
  await decide(messageId, 'release')
  t.strictSame((await stateOf(pool, messageId)).due_at, before, 'also the second time')
})

t.test(
  'a failed message whose backoff is over when it is released is due then, not in the past',
  async (t) => {
    const messageId = await failedMessage(0)
    await decide(messageId, 'hold')
    await decide(messageId, 'release')
    const { due_at, recorded_at } = await lastEvent(messageId)
    // A lane does not look again at times that it has passed.
    t.strictSame(due_at, recorded_at)
    await decide(messageId, 'cancel')
  },
)

for (const [from, make] of Object.entries({
  pending: () => pendingMessage(pool),
  failed: () => failedMessage(0),
  'on hold': async () => {
    const messageId = await pendingMessage(pool)
    await decide(messageId, 'hold')
    return messageId
  },
}))
  t.test(`a message that is ${from} can be cancelled: a dead letter that is never claimed`, async (t) => {
    const messageId = await make()
    const before = await stateOf(pool, messageId)
    const { onHold } = await countDecided(pool)
    t.strictSame(await decide(messageId, 'cancel'), {
      kind: 'decided',
      version: before.version + 1,
      status: 'dead_letter',
    })
    t.match(await stateOf(pool, messageId), {
      status: 'dead_letter',
      due_at: null,
      retry_count: before.retry_count,
      error_message: before.error_message,
    })
    t.notOk(await isClaimed(messageId))
    t.strictSame(await standing(messageId), [])
    t.equal((await countDecided(pool)).onHold, from === 'on hold' ? onHold - 1 : onHold)
    t.strictSame(await decide(messageId, 'cancel'), { kind: 'already_ended', status: 'dead_letter' })
    t.match(
      await askReplay(messageId),
      { kind: 'replayed' },
      'it may be sent after all, by a second decision',
    )
    t.ok(await isClaimed(messageId))
  })

t.test('every dead letter can be resolved, and stays one', async (t) => {
  for (const [kind, messageId] of Object.entries(await lettersOfEachKind()))
    for (const as of resolutions) {
      const before = await stateOf(pool, messageId)
      const version = before.version + 1
      t.strictSame(
        await decide(messageId, asResolved(as, 'statement of 29 November')),
        { kind: 'decided', version, status: 'dead_letter' },
        `${kind} as ${as}`,
      )
      t.match(await lastEvent(messageId), {
        type: 'resolved',
        actor: 'alice',
        reason: 'asked by the bank',
        resolution: as,
        evidence: 'statement of 29 November',
      })
      const after = await stateOf(pool, messageId)
      t.match(after, { status: 'dead_letter', error_message: before.error_message })
      t.strictSame(after.updated_at, before.updated_at)
      const { rows } = await pool.query(
        'select status, on_hold, resolution from messages where message_id = $1',
        [messageId],
      )
      t.strictSame(rows, [{ status: 'dead_letter', on_hold: false, resolution: as }])
      t.match(await decide(messageId, 'reopen'), { kind: 'decided', status: 'dead_letter' })
      t.strictSame(await standing(messageId), [])
    }
})

t.test('a resolved dead letter is replayed only after it was reopened', async (t) => {
  const messageId = await deadMessage()
  await decide(messageId, asResolved())
  t.match(await askReplay(messageId), {
    kind: 'already_resolved',
    resolution: 'carried_out',
    actor: 'alice',
    reason: 'asked by the bank',
  })
  await decide(messageId, 'reopen', { reason: 'the bank has not got it' })
  t.match(await lastEvent(messageId), { type: 'reopened', reason: 'the bank has not got it' })
  t.match(await askReplay(messageId), { kind: 'replayed', status: 'pending' })
  t.ok(await isClaimed(messageId))
})

t.test('a message on hold is not replayed', async (t) => {
  const messageId = await failedMessage()
  await decide(messageId, 'hold')
  t.match(await askReplay(messageId), { kind: 'already_held', actor: 'alice', reason: 'asked by the bank' })
  await decide(messageId, 'cancel')
})

t.test('a decision that comes second is told who was first, and changes nothing', async (t) => {
  const held = await pendingMessage(pool)
  await decide(held, 'hold', { actor: 'bob', reason: 'looks odd' })
  const letter = await deadMessage()
  await decide(letter, asResolved('duplicate'), { actor: 'bob', reason: 'paid by hand' })
  const open = await openAttempt(pool)
  const done = await openAttempt(pool)
  await settleOne(pool, fresh, done, 1, accepted)
  const failed = await failedMessage()
  const unresolved = await deadMessage()
  const all = [held, letter, open, done, failed, unresolved]
  const before = await Promise.all(all.map((each) => stateOf(pool, each)))

  const since = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z$/
  const byBob = { actor: 'bob', since }
  t.match(await decide(held, 'hold'), { kind: 'already_held', ...byBob, reason: 'looks odd' })
  const resolved = { kind: 'already_resolved', resolution: 'duplicate', ...byBob, reason: 'paid by hand' }
  t.match(await decide(letter, asResolved('ignored')), resolved)
  t.strictSame(await decide(open, 'hold'), { kind: 'already_started', attempt: 1 })
  t.strictSame(await decide(open, 'cancel'), { kind: 'already_started', attempt: 1 })
  t.strictSame(await decide(done, 'hold'), { kind: 'already_ended', status: 'success' })
  t.strictSame(await decide(done, 'cancel'), { kind: 'already_ended', status: 'success' })
  t.strictSame(await decide(letter, 'hold'), { kind: 'already_ended', status: 'dead_letter' })
  t.strictSame(await decide(failed, 'release'), { kind: 'not_held', status: 'failed' })
  t.strictSame(await decide(letter, 'release'), { kind: 'not_held', status: 'dead_letter' })
  t.strictSame(await decide(open, asResolved()), { kind: 'not_a_dead_letter', status: 'processing' })
  t.strictSame(await decide(held, 'reopen'), { kind: 'not_a_dead_letter', status: 'pending' })
  t.strictSame(await decide(unresolved, 'reopen'), { kind: 'not_resolved' })
  for (const transactionId of ['nobody', 'no\0body'])
    t.strictSame(
      await decideMessage(pool, { transactionId, decision: { kind: 'hold' }, actor: 'alice', reason: 'why' }),
      { kind: 'unknown' },
    )
  t.strictSame(await Promise.all(all.map((each) => stateOf(pool, each))), before)
})

for (const decision of ['hold', 'cancel'] as const)
  t.test(`of twenty decisions to ${decision} at once one is recorded`, async (t) => {
    const messageId = await failedMessage()
    const answers = await Promise.all(Array.from({ length: 20 }, () => decide(messageId, decision)))
    t.equal(answers.filter(({ kind }) => kind === 'decided').length, 1)
    const refusal = decision === 'hold' ? 'already_held' : 'already_ended'
    t.equal(answers.filter(({ kind }) => kind === refusal).length, 19)
    if (decision === 'hold') await decide(messageId, 'cancel')
  })

for (const decision of ['hold', 'cancel'] as const) {
  t.test(`where a claim was first, ${decision} waits for it and names the attempt`, async (t) => {
    const messageId = await pendingMessage(pool)
    const lane = await session(t, url)
    const operator = await session(t, url)
    await lane.database.query('begin')
    t.ok(await isClaimed(messageId, lane.database))
    const answer = decide(messageId, decision, { by: operator.database })
    await waitsFor(pool, operator, lane, answer)
    await lane.database.query('commit')
    t.strictSame(await answer, { kind: 'already_started', attempt: 1 })
    t.strictSame(await typesOf(pool, messageId), ['received', 'attempt_started'])
  })

  t.test(`where ${decision} was first, no claim takes the message, also before its commit`, async (t) => {
    const messageId = await pendingMessage(pool)
    const operator = await session(t, url)
    await operator.database.query('begin')
    t.match(await decide(messageId, decision, { by: operator.database }), { kind: 'decided' })
    t.notOk(await isClaimed(messageId))
    await operator.database.query('commit')
    t.notOk(await isClaimed(messageId))
    t.equal((await typesOf(pool, messageId)).filter((type) => type === 'attempt_started').length, 0)
  })
}

t.test('the log takes no attempt of a message on hold, whoever appends it', async (t) => {
  for (const messageId of [await pendingMessage(pool), await failedMessage(0)]) {
    await decide(messageId, 'hold')
    await t.rejects(startAttempt(pool, messageId, fresh), {
      code: '23000',
      message: /from on_hold by attempt_started/,
    })
  }
})

t.test('a late acceptance ends a hold and a resolution', async (t) => {
  const held = await failedMessage()
  await decide(held, 'hold')
  const letter = await deadMessage()
  await decide(letter, asResolved('not_carried_out'))
  const before = await countDecided(pool)
  for (const messageId of [held, letter]) {
    t.equal(await settleOne(pool, fresh, messageId, 1, accepted), 'late')
    t.match(await stateOf(pool, messageId), { status: 'success', due_at: null })
    t.strictSame(await standing(messageId), [])
  }
  t.strictSame(await countDecided(pool), {
    openDeadLetters: before.openDeadLetters,
    openByCause: before.openByCause,
    resolvedDeadLetters: before.resolvedDeadLetters - 1,
    onHold: before.onHold - 1,
  })
})

t.test('a late failure and another record leave a hold and a resolution as they are', async (t) => {
  const held = await failedMessage()
  await decide(held, 'hold')
  const letter = await deadMessage()
  await decide(letter, asResolved('ignored'))
  const before = await countDecided(pool)
  for (const messageId of [held, letter]) {
    const stands = await standing(messageId)
    const { transaction_id: id } = await stateOf(pool, messageId)
    await store(pool, [record(0, id), record(1, id, { bytes: 'other' })])
    t.equal(await settleOne(pool, fresh, messageId, 1, unknown), 'late')
    t.strictSame(await standing(messageId), stands)
    t.notOk(await isClaimed(messageId))
  }
  t.match(await countDecided(pool), {
    resolvedDeadLetters: before.resolvedDeadLetters,
    onHold: before.onHold,
  })
  t.equal((await countDecided(pool)).openDeadLetters, before.openDeadLetters + 2, 'the conflicting records')
})

t.test('what is on hold cannot be expunged; a resolved dead letter can, and stays resolved', async (t) => {
  const held = await pendingMessage(pool)
  await decide(held, 'hold')
  const { transaction_id: heldId } = await stateOf(pool, held)
  t.strictSame(await expunge(pool, { transactionId: heldId, actor: 'alice', reason: 'why' }), {
    kind: 'open',
    status: 'pending',
  })
  const letter = await deadMessage()
  await decide(letter, asResolved())
  const stands = await standing(letter)
  const { transaction_id: letterId } = await stateOf(pool, letter)
  t.match(await expunge(pool, { transactionId: letterId, actor: 'alice', reason: 'why' }), {
    kind: 'expunged',
  })
  t.strictSame(await standing(letter), stands)
  await decide(letter, 'reopen')
  t.strictSame(await askReplay(letter), { kind: 'expunged', status: 'dead_letter' })
  t.match(await decide(letter, asResolved('ignored')), { kind: 'decided' })
})

/** Counted from the log's states and events, not from what is kept. */
async function scan(by: pg.Pool): Promise<object> {
  const { rows: letters } = await by.query<{ message_id: MessageId }>(
    `select message_id from messages where status = 'dead_letter' and resolution is null`,
  )
  const details = await readDetails(
    by,
    letters.map((row) => row.message_id),
  )
  const openByCause = new Map(
    deadLetterCauses.map((cause) => [cause, details.filter((each) => each.deadLetterCause === cause).length]),
  )
  const { rows } = await by.query<{ open: number; resolved: number; held: number }>(
    `select count(*) filter (where status = 'dead_letter' and resolution is null)::int as "openDeadLetters",
       count(*) filter (where status = 'dead_letter' and resolution is not null)::int as "resolvedDeadLetters",
       count(*) filter (where on_hold)::int as "onHold" from messages`,
  )
  return { ...rows[0]!, openByCause }
}

t.test(
  'open and resolved dead letters and messages on hold are counted, before and after a fold',
  async (t) => {
    const letters = Object.values(await lettersOfEachKind())
    for (const messageId of letters.slice(0, 3)) await decide(messageId, asResolved())
    await decide(await failedMessage(), 'hold')
    const counted = await countDecided(pool)
    t.strictSame(counted, await scan(pool))
    t.ok(counted.openDeadLetters >= 2 && counted.resolvedDeadLetters >= 3 && counted.onHold >= 1)
    await foldCounts(pool)
    t.strictSame(await countDecided(pool), counted)
    const { rows } = await pool.query<{ message_id: MessageId }>(
      `select message_id from messages where status = 'dead_letter' and resolution is null`,
    )
    for (const { message_id: messageId } of rows)
      t.match(await decide(messageId, asResolved()), { kind: 'decided' })
    t.equal((await countDecided(pool)).openDeadLetters, 0)
  },
)

t.test('a rebuild brings all decisions back from the log', async (t) => {
  t.strictSame(await rebuildAll(pool), [], 'nothing differs before')
  const counted = await countDecided(pool)
  const all = 'select * from decided_messages order by message_id'
  const { rows: before } = await pool.query<{
    message_id: string
    version: number
    resolution: string | null
  }>(all)
  t.ok(before.length > 4)
  const [lost, other] = before
  await pool.query('delete from decided_messages where message_id = $1', [lost!.message_id])
  await pool.query(`update decided_messages set resolution = 'x' where message_id = $1`, [other!.message_id])
  const surplus = await failedMessage()
  await pool.query('insert into decided_messages values ($1, 3, null), (999999999, 1, null)', [surplus])
  const name = (resolution: string | null, version: number) =>
    `${resolution ?? 'on hold'} at version ${version}`
  const found = await rebuildAll(pool)
  t.match(
    found.filter(({ kind }) => kind === 'decision'),
    [
      { messageId: lost!.message_id, was: null, is: name(lost!.resolution, lost!.version) },
      {
        messageId: other!.message_id,
        was: name('x', other!.version),
        is: name(other!.resolution, other!.version),
      },
      { messageId: surplus, was: 'on hold at version 3', is: null },
      { messageId: '999999999', transactionId: 'message 999999999', was: 'on hold at version 1', is: null },
    ],
  )
  t.equal(found.length, 4)
  t.strictSame((await pool.query(all)).rows, before)
  t.strictSame(await countDecided(pool), counted)

  await pool.query('truncate decided_messages')
  await pool.query('delete from rollups')
  await pool.query('delete from status_count_deltas')
  t.ok((await rebuildAll(pool)).length > before.length)
  t.strictSame((await pool.query(all)).rows, before)
  t.strictSame(await countDecided(pool), counted)
  t.strictSame(await rebuildAll(pool), [])
})

t.test('a decision without a name, a reason or a known resolution is refused', async (t) => {
  const messageId = await deadMessage()
  const refusals: [MessageDecision | 'hold', { actor?: string; reason?: string }][] = [
    ['hold', { actor: ' ' }],
    ['hold', { reason: '' }],
    [asResolved('paid' as Resolution), {}],
    [{ kind: 'forget' } as unknown as MessageDecision, {}],
  ]
  for (const [decision, by] of refusals) await t.rejects(decide(messageId, decision, by), { code: '22023' })
  await t.rejects(pool.query(`select decide_message('x', 'hold', 'alice', 'why', 'ignored')`), {
    code: '22023',
  })
  await t.rejects(pool.query(`select decide_message('x', null, 'alice', 'why')`), { code: '22023' })
})
