import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { Destination } from '../../src/dispatch/destination.ts'
import type { Verdict } from '../../src/message/verdict.ts'
import { database } from '../support/database.ts'
import { guard } from '../support/flowing.ts'
import { until } from '../support/until.ts'

async function setUp(t: Test) {
  const { pool } = await database(t)
  let changes = 0
  const destination = new Destination({
    name: 'default',
    database: pool,
    actor: 'test/guard',
    policy: guard,
    limitMax: 50,
    logger: pino({ level: 'silent' }),
    onChange: () => (changes += 1),
  })
  t.teardown(() => destination.stop())
  const note = (...verdicts: Verdict[]) => verdicts.forEach((verdict) => destination.noteVerdict(verdict))
  return { pool, destination, note, changes: () => changes }
}

const times = (count: number, verdict: Verdict) => Array.from({ length: count }, () => verdict)

t.test('failures that may hold the destination stop requests before the log has said so', async (t) => {
  const { pool, destination, note } = await setUp(t)
  note(...times(9, 'failure'), 'none')
  t.equal(destination.room, Infinity)
  note('failure')
  t.equal(destination.room, 0, 'nothing more is sent')
  await pool.query(`update destinations set failures = 20, last_reason = 'HTTP 503'`)
  destination.noteStored(times(10, 'failure'))
  await until('the log to hold', () => Promise.resolve(destination.state === 'held'))
  t.equal(destination.room, 1, 'a held destination is probed')
})

t.test('an answer of another kind, or the log, opens it again', async (t) => {
  const { destination, note, changes } = await setUp(t)
  note(...times(10, 'failure'))
  const before = changes()
  note('success')
  t.equal(destination.room, Infinity)
  t.ok(changes() > before, 'and the lanes hear of it')
  note(...times(24, 'refusal'), 'other')
  t.equal(destination.room, Infinity)
  note('refusal')
  t.equal(destination.room, 0, 'the brake')
  destination.noteStored(times(34, 'failure'))
  destination.check()
  await sleep(0)
  t.equal(destination.room, 0, 'not all of it is in the log yet')
  destination.noteStored(['refusal'])
  await until('the log to let it flow', () => Promise.resolve(destination.room === Infinity))
})

t.test('what comes while the log is asked is not forgotten', async (t) => {
  const { destination, note } = await setUp(t)
  note(...times(10, 'failure'))
  destination.noteStored(times(10, 'failure'))
  note(...times(10, 'failure'))
  // Resolves once the log has answered.
  await destination.stop()
  t.equal(destination.room, 0, 'the log does not know of them')
})

t.test('an outcome that does not get into the log does not stop the others for long', async (t) => {
  const { destination, note } = await setUp(t)
  note(...times(10, 'failure'))
  destination.noteStored(times(9, 'failure'))
  await until('the destination to be open again', () => Promise.resolve(destination.room === Infinity))
})
