import type { Pool } from 'pg'
import t from 'tap'
import { readJob } from '../../src/log/read/read-jobs.ts'
import { planReplay } from '../../src/log/write/plan-replay.ts'
import { startReplay, startResolution } from '../../src/log/write/steer-job.ts'
import { stepJob } from '../../src/log/write/step-job.ts'
import { verify } from '../../src/verify/verify.ts'
import { archiveAll } from '../support/archive.ts'
import { database } from '../support/database.ts'
import { headPasses } from '../support/head-passes.ts'
import { makeSmallSegments } from '../support/segments.ts'
import { differing } from './broken.ts'
import { accepted, History, refused } from './history.ts'

async function plan(pool: Pool): Promise<string> {
  const client = await pool.connect()
  try {
    const answer = await planReplay(client, { filter: {}, given: {}, actor: 'alice', reason: 'it is back' })
    if (answer.kind !== 'planned') throw new Error(answer.kind)
    return answer.id
  } finally {
    client.release()
  }
}

async function start(pool: Pool, id: string): Promise<void> {
  const how = {
    perSecond: null,
    rampFrom: null,
    stopWhen: null,
    confirmNotCarriedOut: false,
    requestKey: null,
  }
  await startReplay(pool, { plan: id, actor: 'bob', reason: null, ...how })
}

const step = (pool: Pool, job: string) =>
  stepJob(pool, job, { actor: 'instance-1/jobs', room: 100, leaseMs: 60_000 })

/** Two dead letters that a job has replayed, of which one is a success and one refused again, and one that came later. */
async function writeJob(pool: Pool): Promise<{ history: History; id: string }> {
  const history = await History.begin(pool)
  for (const claim of await history.receive(['paid', 'again'], { room: 2 }))
    await history.deliver(claim, refused)
  const id = await plan(pool)
  const [later] = await history.receive(['later'], { room: 1 })
  await history.deliver(later!, refused)
  await start(pool, id)
  await step(pool, id)
  await history.deliver(await history.claim('fresh'), accepted)
  await history.deliver(await history.claim('fresh'), refused)
  await step(pool, id)
  return { history, id }
}

async function differences(pool: Pool): Promise<Record<string, string[]>> {
  return differing(
    await verify({ databaseUrl: pool.options.connectionString!, ledgerPath: null, acksPath: null }),
  )
}

async function replayAs(pool: Pool, id: string, job: string, actor: string): Promise<void> {
  const key = `replay-job:${job}`
  await pool.query(`select from replay_messages(array[$1], $2, 'it is back', $3)`, [id, actor, key])
}

t.test('a job that replays and one that resolves are clean', async (t) => {
  const { pool } = await database(t)
  await writeJob(pool)
  const id = await plan(pool)
  await startResolution(pool, { plan: id, actor: 'bob', as: 'ignored', reason: 'a test' })
  while ((await step(pool, id)).state !== 'done');
  t.strictSame(await differences(pool), {})
})

t.test('S25: a job came to a message that is not in its set', async (t) => {
  const { pool } = await database(t)
  const { id } = await writeJob(pool)
  await replayAs(pool, 'later', id, 'bob')
  t.match(await differences(pool), {
    S25: [
      /^replay job 1: came to message \d+, which is not in its frozen set$/,
      'replay job 1: counts 2 messages, and the log has 3 events of it',
    ],
  })
})

t.test('S25: a job came to a message twice, in the name of somebody else', async (t) => {
  const { pool } = await database(t)
  const { id } = await writeJob(pool)
  await replayAs(pool, 'again', id, 'mallory')
  t.match(await differences(pool), {
    S25: [
      /^again v\d+: replayed by mallory for the job 1, which is to replay for bob$/,
      /^replay job 1: came to message \d+ more than once$/,
      'replay job 1: counts 2 messages, and the log has 3 events of it',
    ],
  })
})

t.test('S25: an event names a job that never was', async (t) => {
  const { pool } = await database(t)
  await writeJob(pool)
  await replayAs(pool, 'later', '99', 'bob')
  t.match(await differences(pool), {
    S25: ['replay job 99: has 1 events in the log, and was never started'],
  })
})

t.test(
  'a frozen set keeps no segment: what is archived is skipped, and what a job did is checked in the archive',
  async (t) => {
    const { url, pool } = await database(t)
    await makeSmallSegments(pool, 10)
    const history = await History.begin(pool)
    const ids = Array.from({ length: 10 }, (_, at) => `tx-${at}`)
    for (const id of ids) {
      const [claim] = await history.receive([id], { room: 1 })
      await history.deliver(claim!, refused)
    }
    const [replayed, waiting] = [await plan(pool), await plan(pool)]
    await start(pool, replayed)
    while ((await step(pool, replayed)).worked > 0)
      for (let open = 0; open < 10; open++) await history.deliver(await history.claim('fresh'), accepted)
    await history.receive(Array.from({ length: 10 }, (_, at) => `later-${at}`))
    const to = t.testdir()
    await headPasses(pool)
    t.strictSame(await archiveAll(url, to), ['segment-000001-messages-1-10'])
    await start(pool, waiting)
    t.match(await step(pool, waiting), { worked: 0, passed: 10 })
    t.match(await readJob(pool, waiting), { replayed: '0', skipped: [{ key: 'archived', count: '10' }] })
    const evidence = { databaseUrl: url, ledgerPath: null, acksPath: null }
    t.strictSame(differing(await verify({ ...evidence, archives: [to] })), {})
    t.strictSame(
      differing(await verify(evidence)).S25,
      undefined,
      'without the archive nothing is taken for missing',
    )
  },
)
