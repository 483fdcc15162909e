import t from 'tap'
import type { Pool } from 'pg'
import {
  journalKinds,
  readJournal,
  type JournalEntry,
  type JournalFilter,
} from '../../../src/log/read/read-journal.ts'
import { decideMessage, type MessageDecision } from '../../../src/log/write/decide-message.ts'
import { decidePartition } from '../../../src/log/write/decide-partition.ts'
import { expunge } from '../../../src/log/write/expunge.ts'
import { expungeAged } from '../../../src/log/write/expunge-aged.ts'
import { planReplay } from '../../../src/log/write/plan-replay.ts'
import { pauseDestination, resumeDestination } from '../../../src/log/write/steer-destination.ts'
import { startResolution } from '../../../src/log/write/steer-job.ts'
import { stepJob } from '../../../src/log/write/step-job.ts'
import { stopPartition } from '../../../src/log/write/stop-partition.ts'
import { store, storeDeadLetters } from '../../api/service.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'

const all: JournalFilter = { kinds: journalKinds, actor: null, from: null, to: null }
const instance = '01M8KQDWQ41JXR8A939HB0ZDFE'

async function decide(pool: Pool, transactionId: string, decision: MessageDecision, actor = 'olga') {
  const answer = await decideMessage(pool, { transactionId, decision, actor, reason: 'because' })
  if (answer.kind !== 'decided') throw new Error(answer.kind)
}

/** The whole journal, in pages of so many. */
async function readAll(pool: Pool, rowsMax: number, filter = all): Promise<JournalEntry[]> {
  const entries: JournalEntry[] = []
  for (;;) {
    const page = await readJournal(pool, filter, entries.at(-1) ?? null, rowsMax)
    entries.push(...page)
    if (page.length < rowsMax) return entries
  }
}

t.test('all that was decided is one list, newest first, the same whatever the pages', async (t) => {
  const { pool } = await database(t)
  await storeDeadLetters(pool, ['pay-1', 'pay-2', 'pay-3', 'pay-4'])
  await store(pool, ['pay-5'])
  await decide(pool, 'pay-1', { kind: 'resolve', as: 'carried_out', evidence: '7' })
  t.match(await pauseDestination(pool, 'default', { actor: 'victor', reason: 'a night of theirs' }, null), {
    kind: 'paused',
  })
  const stop = {
    topic: 'transactions.incoming',
    partition: 0,
    incarnation: 1,
    next: 5n,
    resume: 7n,
    reason: 'gone',
  }
  await stopPartition(pool, stop, `${instance}/ingest`)
  await decide(pool, 'pay-1', { kind: 'reopen' })
  await decidePartition(pool, {
    topic: 'transactions.incoming',
    partition: 0,
    type: 'gap_accepted',
    range: { low: 7n, high: 9n },
    actor: 'olga',
    reason: 'they are lost',
  })
  const client = await pool.connect()
  const plan = await planReplay(client, { filter: {}, given: {}, actor: 'olga', reason: 'a test of theirs' })
  client.release()
  if (plan.kind !== 'planned') throw new Error(plan.kind)
  await startResolution(pool, { plan: plan.id, as: 'ignored', actor: 'olga', reason: 'a test of theirs' })
  const step = () => stepJob(pool, plan.id, { actor: `${instance}/jobs`, room: 100, leaseMs: 60_000 })
  await until('the job to be done', async () => (await step()).state === 'done')
  t.match(await resumeDestination(pool, 'default', { actor: 'victor', reason: 'back' }), { kind: 'resumed' })
  await expunge(pool, { transactionId: 'pay-3', actor: 'olga', reason: 'they asked' })
  await expungeAged(
    pool,
    { retainMs: 1, actor: `${instance}/retention`, reason: 'RETAIN_PAYLOAD: 1 ms' },
    10_000,
  )
  await decide(pool, 'pay-5', { kind: 'hold' }, 'victor')

  const entries = await readAll(pool, 100)
  t.strictSame(
    entries.map(({ kind, by, actor, decision, detail }) => [kind, by, actor, decision, detail]),
    [
      ['payment', 'operator', 'victor', 'held', null],
      ['payment', 'operator', 'olga', 'expunged', null],
      ['destination', 'operator', 'victor', 'ramping', 'operator'],
      ['replay_job', 'service', `${instance}/jobs`, 'done', null],
      ['replay_job', 'operator', 'olga', 'started', 'no pace'],
      ['partition', 'operator', 'olga', 'gap_accepted', 'from offset 5 to 7'],
      ['payment', 'operator', 'olga', 'reopened', null],
      ['partition', 'service', `${instance}/ingest`, 'stopped', 'at offset 5'],
      ['destination', 'operator', 'victor', 'paused', 'operator'],
      ['payment', 'operator', 'olga', 'resolved', 'carried_out'],
    ],
    'the four that the job resolved, and what RETAIN_PAYLOAD took away, are not in it',
  )
  t.match(entries[9], { transactionId: 'pay-1', evidence: '7', reason: 'because', job: null })
  t.match(entries[4], { transactionId: null, job: plan.id })
  t.match(entries[5], { topic: 'transactions.incoming', partition: 0 })
  t.match(entries[8], { destination: 'default' })
  for (const rowsMax of [1, 2, 3])
    t.strictSame(await readAll(pool, rowsMax), entries, `in pages of ${rowsMax}`)

  const of = (filter: Partial<JournalFilter>) => readAll(pool, 2, { ...all, ...filter })
  t.strictSame(
    await of({ kinds: ['partition', 'replay_job'] }),
    entries.filter(({ kind }) => kind === 'partition' || kind === 'replay_job'),
  )
  t.strictSame(
    await of({ actor: 'victor' }),
    entries.filter(({ actor }) => actor === 'victor'),
  )
  t.strictSame(await of({ from: entries[6]!.at, to: entries[2]!.at }), entries.slice(3, 7))
  t.strictSame(await of({ kinds: [] }), [])
})

t.test(
  'a page reads a bounded number of rows, and decisions of one instant are each in it once',
  async (t) => {
    const { pool } = await database(t)
    const ids = Array.from({ length: 400 }, (_, at) => `pay-${at}`)
    await store(pool, ids)
    // One statement, so that many have the same instant.
    await pool.query(
      `insert into message_events (message_id, version, position, recorded_at, type, actor, status, retry_count, reason)
      select s.message_id, s.version + 1, current_position(), date_trunc('second', clock_timestamp()), 'held', 'olga', s.status, s.retry_count, 'because'
      from message_states s`,
    )
    const entries = await readAll(pool, 7)
    t.equal(entries.length, 400)
    t.equal(new Set(entries.map(({ transactionId }) => transactionId)).size, 400)
    const client = await pool.connect()
    t.teardown(() => client.release())
    // What earlier transactions of this session read may be in it, too.
    const countRead = async (): Promise<number> => {
      const { rows } = await client.query<{ read: number }>(
        `select coalesce(sum(seq_tup_read + idx_tup_fetch), 0)::int as read from pg_stat_xact_user_tables
        where relname like 'message_events%' or relname like '%_decisions' or relname like 'replay_job%'`,
      )
      return rows[0]!.read
    }
    await client.query('begin')
    const before = await countRead()
    const page = await readJournal(client, all, entries[100]!, 20)
    const read = (await countRead()) - before
    await client.query('rollback')
    t.equal(page.length, 20)
    // Those of one instant are sorted, and there are 400 of them.
    t.ok(read <= 420, `${read} rows`)
  },
)

t.test('what one of many has decided is read without what the others have', async (t) => {
  const { pool } = await database(t)
  await pool.query('alter table message_events disable trigger all')
  await pool.query(
    `insert into message_events (message_id, version, position, retry_count, recorded_at, type, status, actor, reason)
      select g, 1, g, 0, now() - g * interval '1 second', 'replayed', 'pending', case g when 4000 then 'olga' else 'victor' end, 'because'
      from generate_series(1, 5000) g`,
  )
  const client = await pool.connect()
  t.teardown(() => client.release(true))
  await client.query('begin')
  for (const [actor, found] of [
    ['olga', 1],
    ['nobody', 0],
  ] as const)
    t.equal((await readJournal(client, { ...all, actor }, null, 51)).length, found)
  const { rows } = await client.query<{ read: number }>(
    `select sum(idx_tup_fetch + seq_tup_read)::int as read from pg_stat_xact_user_tables where relname like 'message_events%'`,
  )
  t.ok(rows[0]!.read < 10, `${rows[0]!.read} events were read`)
})
