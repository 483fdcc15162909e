import t from 'tap'
import pg from 'pg'
import { countByStatus } from '../../../src/log/read/count-by-status.ts'
import type { MessageId } from '../../../src/message/message.ts'
import { database } from '../../support/database.ts'
import {
  accepted,
  fresh,
  lookOnce,
  newName,
  openAttempt,
  pendingMessage,
  record,
  refused,
  deadLetter,
  settleOne,
  stateOf,
  store,
} from '../support.ts'

const { pool, url } = await database(t)

type Event = { version: number; type: string; status: string; [column: string]: unknown }

/** Appends events as the owner may, without any of the functions. */
async function append(messageId: string, events: Event[]): Promise<void> {
  const rows = events.map((event) => ({
    message_id: messageId,
    position: 1,
    recorded_at: '2030-01-01T00:00:00Z',
    actor: 'owner',
    retry_count: 0,
    ...event,
  }))
  await pool.query(
    'insert into message_events select * from jsonb_populate_recordset(null::message_events, $1)',
    [JSON.stringify(rows)],
  )
}

async function newId(): Promise<MessageId> {
  const { rows } = await pool.query<{ id: MessageId }>(`select nextval('message_ids') as id`)
  return rows[0]!.id
}

const received = { version: 1, type: 'received', status: 'pending', due_at: '2030-01-01T00:00:00Z' }
const started = {
  version: 2,
  type: 'attempt_started',
  status: 'processing',
  attempt: 1,
  actor: 'z/fresh',
  due_at: '2030-01-01T00:01:00Z',
}
const failed = {
  version: 3,
  type: 'attempt_failed',
  status: 'failed',
  attempt: 1,
  retry_count: 1,
  outcome: 'unknown',
  reason: 'timeout',
  due_at: '2030-01-01T00:02:00Z',
}

t.test('three events of a new message in one statement are folded in version order', async (t) => {
  const messageId = await newId()
  const before = await countByStatus(pool)
  await append(messageId, [failed, { ...received, transaction_id: newName() }, started])
  t.match(await stateOf(pool, messageId), {
    version: 3,
    status: 'failed',
    retry_count: 1,
    attempts: 1,
    claimed_by: null,
    error_message: 'timeout',
    outcome_unknown: true,
    due_at: new Date('2030-01-01T00:02:00Z'),
    lease_ends_at: null,
    queue: 'failed',
  })
  t.strictSame(await countByStatus(pool), { ...before, failed: before.failed + 1 })
})

t.test('three events of a known message in one statement are folded in version order', async (t) => {
  const messageId = await newId()
  await append(messageId, [{ ...received, transaction_id: newName() }])
  const second = { ...started, version: 4, attempt: 2, actor: 'a/retry', retry_count: 1 }
  await append(messageId, [second, failed, started])
  t.match(await stateOf(pool, messageId), {
    version: 4,
    status: 'processing',
    attempts: 2,
    retry_count: 1,
    claimed_by: 'a/retry',
    error_message: 'timeout',
    outcome_unknown: true,
    due_at: null,
    lease_ends_at: new Date('2030-01-01T00:01:00Z'),
    queue: null,
  })
})

t.test('events of several messages in one statement are folded apart', async (t) => {
  const [a, b] = [await newId(), await newId()]
  const rows = [
    [a, { ...received, transaction_id: newName() }],
    [b, { ...received, transaction_id: newName() }],
    [a, started],
  ].map(([message_id, event]) => ({
    message_id,
    position: 1,
    recorded_at: '2030-01-01T00:00:00Z',
    actor: 'owner',
    retry_count: 0,
    ...(event as object),
  }))
  await pool.query(
    'insert into message_events select * from jsonb_populate_recordset(null::message_events, $1)',
    [
      JSON.stringify(
        rows.map((row) => ('type' in row && row.type === 'attempt_started' ? { ...row, actor: 'x' } : row)),
      ),
    ],
  )
  t.match(await stateOf(pool, a), { status: 'processing', version: 2, claimed_by: 'x' })
  t.match(await stateOf(pool, b), { status: 'pending', version: 1, claimed_by: null })
})

t.test('an illegal transition is refused, and with it the whole statement', async (t) => {
  const pending = await pendingMessage(pool)
  const success = await openAttempt(pool)
  await settleOne(pool, fresh, success, 1, accepted)
  const dead = await openAttempt(pool)
  await settleOne(pool, fresh, dead, 1, refused, deadLetter)
  const open = await openAttempt(pool)
  const illegal: [MessageId, Event][] = [
    [pending, { version: 2, type: 'succeeded', status: 'success' }],
    [pending, { version: 2, type: 'attempt_started', status: 'success' }],
    [pending, { version: 2, type: 'inquired', status: 'success' }],
    [success, { version: 4, type: 'dead_lettered', status: 'dead_letter' }],
    [pending, { version: 2, type: 'replayed', status: 'pending' }],
    [success, { version: 4, type: 'attempt_started', status: 'processing' }],
    [success, { version: 4, type: 'replayed', status: 'pending' }],
    [success, { version: 4, type: 'late_result_observed', status: 'failed' }],
    [dead, { version: 5, type: 'attempt_started', status: 'processing' }],
    [dead, { version: 5, type: 'duplicate_received', status: 'pending' }],
    [open, { version: 3, type: 'late_result_observed', status: 'success' }],
    [open, { version: 3, type: 'attempt_started', status: 'processing' }],
    [open, { version: 3, type: 'no_such_event', status: 'processing' }],
  ]
  const before = await countByStatus(pool)
  for (const [messageId, event] of illegal) {
    const innocent = { version: 1, type: 'received', status: 'pending', transaction_id: newName() }
    const refusing = append(await newId(), [innocent, { ...event, version: 7 }])
    await t.rejects(refusing, { code: '23000', message: /illegal transition/ })
    await t.rejects(append(messageId, [event]), { code: '23000', message: /illegal transition: message / })
  }
  t.strictSame(await countByStatus(pool), before)
})

t.test('a gap in the versions is refused', async (t) => {
  const messageId = await pendingMessage(pool)
  await t.rejects(append(messageId, [{ ...started, version: 3 }]), { code: '23000' })
  await t.rejects(append(messageId, [started, { ...failed, version: 4 }]), { code: '23000' })
  await t.rejects(append(await newId(), [{ ...received, version: 2, transaction_id: newName() }]), {
    code: '23000',
  })
  await t.rejects(append(await newId(), [{ ...received, version: 0, transaction_id: newName() }]), {
    code: '23000',
  })
  await t.rejects(append(await newId(), [{ ...received, version: -1, transaction_id: newName() }]), {
    code: '23000',
  })
})

t.test('a version that was taken is refused', async (t) => {
  const messageId = await openAttempt(pool)
  await t.rejects(append(messageId, [started]), { code: '23505' })
  await t.rejects(append(messageId, [{ ...received, transaction_id: newName() }]), { code: '23505' })
})

t.test('an event without an actor is refused', async (t) => {
  const messageId = await pendingMessage(pool)
  await t.rejects(append(messageId, [{ ...started, actor: '' }]), { code: '23514' })
})

t.test('a statement notifies if it appended, and who waits only if something is left to do', async (t) => {
  const listener = new pg.Client({ connectionString: url })
  await listener.connect()
  t.teardown(() => listener.end())
  const heard: string[] = []
  listener.on('notification', ({ channel, payload }) => heard.push(`${channel}:${payload}`))
  await listener.query('listen message_events')
  await listener.query('listen message_due')
  /** Notifications come before the answer to the listener's own next statement. */
  const hear = async (): Promise<string[]> => {
    await listener.query('select 1')
    return heard.splice(0).sort()
  }
  await lookOnce(pool, 'fresh', { room: 1_000 })
  await lookOnce(pool, 'retry', { room: 1_000 })
  await hear()

  await lookOnce(pool, 'fresh')
  await lookOnce(pool, 'retry')
  t.strictSame(await hear(), [], 'a look that found nothing')

  await pendingMessage(pool)
  t.strictSame(await hear(), ['message_due:', 'message_events:'], 'a new message')

  const { claims } = await lookOnce(pool, 'fresh')
  t.strictSame(await hear(), ['message_due:', 'message_events:'], 'a claim, whose lease somebody must watch')

  await settleOne(pool, fresh, claims[0]!.messageId, 1, accepted)
  t.strictSame(await hear(), ['message_events:'], 'a success')

  await settleOne(pool, fresh, claims[0]!.messageId, 1, accepted)
  t.strictSame(await hear(), [], 'the same settlement again')

  const same = [record(0, newName())]
  await store(pool, same, { partition: 900 })
  await hear()
  await store(pool, same, { partition: 900 })
  t.strictSame(await hear(), [], 'a slice that was stored before')
})
