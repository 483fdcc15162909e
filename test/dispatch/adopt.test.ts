import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { pino } from 'pino'
import t, { type Test } from 'tap'
import { adopt } from '../../src/dispatch/adopt.ts'
import type { Lane } from '../../src/dispatch/lane.ts'
import type { Claim } from '../../src/log/write/to-claim.ts'
import { fresh, newName, record, store } from '../log/support.ts'
import { database } from '../support/database.ts'
import { hangingLane } from './support.ts'

const logger = pino({ level: 'silent' })
const never = new AbortController().signal

function lane(limit = 10) {
  const begun: string[] = []
  const deadlines: number[] = []
  const made = hangingLane('fresh', fresh.split('/')[0]!, limit, (claim, deadlineAt) => {
    begun.push(claim.transactionId)
    deadlines.push(deadlineAt)
  })
  return { lane: made, begun, deadlines }
}

/** First attempts that stand open in the log under the lane's name. */
async function openInLog(pool: pg.Pool, count: number): Promise<Claim[]> {
  const records = Array.from({ length: count }, (_, at) => record(at, newName()))
  return (await store(pool, records, { room: count })).claims
}

/** A pool through which `act` happens after the database has answered a query, and before its caller hears of it. */
function interleave(pool: pg.Pool, act: () => void): pg.Pool {
  const query = async (statement: pg.QueryConfig) => {
    const answer = await pool.query(statement)
    act()
    return answer
  }
  return { query } as unknown as pg.Pool
}

async function adoptUntilCertain(each: Lane, pool: pg.Pool): Promise<void> {
  while (each.hasUnanswered) {
    await adopt(each, pool, logger, never)
    await sleep(20)
  }
}

async function setUp(t: Test) {
  return { ...(await database(t)), ...lane() }
}

t.test('attempts in the log that nobody holds are started, with the deadline of their claim', async (t) => {
  const { pool, lane, begun, deadlines } = await setUp(t)
  lane.reserve(2).loseAnswer()
  const claims = await openInLog(pool, 2)
  const claimedAt = performance.now()
  await sleep(100)
  await adopt(lane, pool, logger, never)
  t.same(
    begun,
    claims.map(({ transactionId }) => transactionId),
  )
  t.ok(deadlines.every((deadlineAt) => deadlineAt < claimedAt + 30_000))
  await adopt(lane, pool, logger, never)
  t.equal(begun.length, 2, 'and only once')
})

t.test('an attempt that is settled while the log is read is not started again', async (t) => {
  const { pool, lane, begun } = await setUp(t)
  const claims = await openInLog(pool, 3)
  lane.start(claims, performance.now())
  lane.reserve(1).loseAnswer()
  await adopt(
    lane,
    interleave(pool, () => lane.close(claims)),
    logger,
    never,
  )
  t.equal(begun.length, 3)
})

t.test('an attempt whose transaction is under way is left to who waits for its answer', async (t) => {
  const { pool, lane, begun } = await setUp(t)
  const underWay = lane.reserve(3)
  lane.reserve(1).loseAnswer()
  const claims = await openInLog(pool, 3)
  const adopting = adopt(lane, pool, logger, never)
  await sleep(0)
  underWay.start(claims)
  await adopting
  t.equal(begun.length, 3)
})

t.test(
  'of a message of which the lane still holds an earlier attempt, the open one is started',
  async (t) => {
    const { pool, lane, begun } = await setUp(t)
    const [claim] = await openInLog(pool, 1)
    lane.start([{ ...claim!, attempt: 0 }], performance.now())
    lane.reserve(1).loseAnswer()
    await adopt(lane, pool, logger, never)
    t.equal(begun.length, 2)
    lane.close([{ ...claim!, attempt: 0 }])
    t.ok(lane.holds(claim!))
  },
)

t.test('a lane that waits for room hears of the lost answer that takes all of it', async (t) => {
  const { pool, lane, begun } = await setUp(t)
  const underWay = lane.reserve(10)
  const waiting = lane.waitForRoom(never)
  const claims = await openInLog(pool, 10)
  underWay.loseAnswer()
  t.equal(await waiting, 0)
  await adopt(lane, pool, logger, never)
  t.equal(begun.length, claims.length)
})

t.test('the room of a lost answer comes back when no transaction can be its own any more', async (t) => {
  const { pool, lane } = await setUp(t)
  const running = await pool.connect()
  await running.query('begin')
  await running.query('select 1')
  lane.reserve(10).loseAnswer()
  t.equal(lane.room, 0)
  // Longer than a statement may take to reach the server.
  await sleep(1_200)
  await adopt(lane, pool, logger, never)
  t.equal(lane.room, 0, 'the transaction that runs may be the one whose answer was lost')
  await running.query('rollback')
  running.release()
  await adoptUntilCertain(lane, pool)
  t.equal(lane.room, 10)
})
