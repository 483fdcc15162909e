import t from 'tap'
import type pg from 'pg'
import type { Claim } from '../../../src/log/write/to-claim.ts'
import { keepStray } from '../../../src/log/write/keep-stray.ts'
import { placeStrays } from '../../../src/log/write/place-strays.ts'
import type { Settlement } from '../../../src/log/write/settle.ts'
import type { TransactionId } from '../../../src/message/message.ts'
import type { Outcome } from '../../../src/message/outcome.ts'
import { database } from '../../support/database.ts'
import {
  accepted,
  deadLetter,
  fresh,
  idOf,
  newName,
  openClaims,
  record,
  refused,
  retryAtOnce,
  session,
  settleOne,
  stateOf,
  store,
  typesOf,
  unavailable,
} from '../support.ts'

const { pool, url } = await database(t)

/** An outcome of an attempt that the log does not know, of a payment with the bytes of `record(…, name)`. */
function stray(name: string, outcome: Outcome, attempt = 3): [Settlement, Buffer] {
  const settlement: Settlement = {
    messageId: '1' as Settlement['messageId'],
    transactionId: name as TransactionId,
    attempt,
    leaseEndsAt: 1_700_000_000_000_123n,
    outcome,
    durationMs: 7,
    decision: outcome.kind === 'accepted' ? { then: 'success' } : retryAtOnce,
    verdict: outcome.kind === 'accepted' ? 'success' : 'failure',
  }
  return [settlement, record(0, name).payload!]
}

async function evidence(pool: pg.Pool, name: string): Promise<unknown[]> {
  const { rows } = await pool.query<Record<string, unknown>>(
    `select attempt, actor, outcome, status, reason from message_events
     where message_id = $1 and type = 'late_result_observed' order by version`,
    [await idOf(pool, name)],
  )
  return rows
}

t.test(
  'what was accepted of a payment that the log has is its success at once, and says from where',
  async (t) => {
    const name = newName()
    await store(pool, [record(0, name)])
    t.equal(await keepStray(pool, fresh, ...stray(name, accepted)), true)
    t.match(await stateOf(pool, await idOf(pool, name)), { status: 'success', attempts: 0, due_at: null })
    const told = [
      {
        attempt: null,
        actor: fresh,
        outcome: 'accepted',
        status: 'success',
        reason: `attempt 3 of ${fresh}, which a failover took out of the log`,
      },
    ]
    t.strictSame(await evidence(pool, name), told)
    t.equal(await keepStray(pool, fresh, ...stray(name, accepted)), true, 'a COMMIT whose answer was lost')
    t.strictSame(await evidence(pool, name), told, 'is recorded once')
  },
)

t.test('an attempt that is open meanwhile is superseded in the same transaction', async (t) => {
  const [claim] = (await openClaims(pool)) as [Claim]
  const [settlement] = stray(claim.transactionId, accepted)
  t.equal(await keepStray(pool, 'instance-2/fresh', settlement, claim.payload), true)
  t.strictSame(await typesOf(pool, claim.messageId), [
    'received',
    'attempt_started',
    'attempt_abandoned',
    'late_result_observed',
  ])
  t.match(await stateOf(pool, claim.messageId), { status: 'success', claimed_by: null })
  t.equal(
    await settleOne(pool, fresh, claim.messageId, 1, unavailable),
    'late',
    'its own answer is only observed',
  )
  t.match(await stateOf(pool, claim.messageId), { status: 'success' })
})

t.test('a failure is evidence and changes nothing', async (t) => {
  const name = newName()
  await store(pool, [record(0, name)])
  t.equal(await keepStray(pool, fresh, ...stray(name, unavailable)), true)
  t.match(await stateOf(pool, await idOf(pool, name)), { status: 'pending', retry_count: 0, attempts: 0 })
  t.match(await evidence(pool, name), [
    { outcome: 'unavailable', reason: /^attempt 3 of .* took out of the log: HTTP 503$/ },
  ])
})

t.test('a dead letter becomes a success when it turns out to have been accepted', async (t) => {
  const [claim] = (await openClaims(pool)) as [Claim]
  await settleOne(pool, fresh, claim.messageId, 1, refused, deadLetter)
  const [settlement] = stray(claim.transactionId, accepted)
  t.equal(await keepStray(pool, fresh, settlement, claim.payload), true)
  t.match(await stateOf(pool, claim.messageId), { status: 'success', error_message: null })
})

t.test(
  'the outcome of a payment that Kafka has not handed over again waits for it, and for no other',
  async (t) => {
    const name = newName()
    t.equal(await keepStray(pool, fresh, ...stray(name, accepted)), false)
    t.equal(await keepStray(pool, fresh, ...stray(name, accepted)), false)
    t.equal(await placeStrays(pool), 1)
    await store(pool, [record(0, newName())])
    t.equal(await placeStrays(pool), 1)
    await store(pool, [record(0, name)])
    t.equal(await placeStrays(pool), 0)
    t.equal((await stateOf(pool, await idOf(pool, name))).status, 'success')
    t.equal((await evidence(pool, name)).length, 1)
  },
)

t.test('what was accepted for other bytes under the same id is no evidence', async (t) => {
  const name = newName()
  t.equal(await keepStray(pool, fresh, ...stray(name, accepted)), false)
  await store(pool, [record(0, name, { bytes: 'other' })])
  t.equal(await placeStrays(pool), 1)
  t.equal((await stateOf(pool, await idOf(pool, name))).status, 'pending')
  await pool.query('delete from stray_outcomes')
})

t.test('evidence of several attempts is recorded each for itself', async (t) => {
  const name = newName()
  t.equal(await keepStray(pool, fresh, ...stray(name, unavailable, 1)), false)
  t.equal(await keepStray(pool, fresh, ...stray(name, accepted, 2)), false)
  await store(pool, [record(0, name)])
  t.equal(await placeStrays(pool), 0)
  t.match(await evidence(pool, name), [{ outcome: 'unavailable' }, { outcome: 'accepted' }])
})

t.test('a payment that another session has locked keeps no other from its outcome', async (t) => {
  const [locked, free] = [newName(), newName()]
  for (const name of [locked, free]) t.equal(await keepStray(pool, fresh, ...stray(name, accepted)), false)
  await store(pool, [record(0, locked), record(1, free)])
  const operator = await session(t, url)
  await operator.database.query('begin')
  await operator.database.query('select from message_states where transaction_id = $1 for update', [locked])
  const service = await session(t, url)
  await service.database.query(`set lock_timeout = '50ms'`)
  t.equal(await placeStrays(service.database), 1)
  t.match(await stateOf(pool, await idOf(pool, free)), { status: 'success' })
  const kept = await keepStray(service.database, fresh, ...stray(locked, accepted, 4))
  t.equal(kept, false, 'it is kept, and its batch goes on')
  await operator.database.query('rollback')
  t.equal(await placeStrays(service.database), 0)
  t.match(await stateOf(pool, await idOf(pool, locked)), { status: 'success' })
})
