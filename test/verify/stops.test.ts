import { join } from 'node:path'
import type { Pool } from 'pg'
import t from 'tap'
import { findRecord } from '../../src/log/read/find-record.ts'
import { readPartitions } from '../../src/log/read/read-partitions.ts'
import { verify, type Report } from '../../src/verify/verify.ts'
import { rebuildAll } from '../support/rebuild.ts'
import { breakable, differing } from './broken.ts'
import { History, topic } from './history.ts'

const other = Buffer.from('{"transaction_id":"kept","amount":1}')
const rejected = { payload: Buffer.from('not json'), rejection: 'The value is not JSON.' }

/** A partition that lost five offsets, and one whose topic was created anew; both hold the same kinds of records in each life. */
async function writeStops(pool: Pool): Promise<History> {
  const history = await History.begin(pool)
  await history.receive(['before', 'kept'])
  await history.giveUp(0, 5n)
  await history.receive(['behind'], { hole: 1n })
  await history.receive(['first', 'kept', { transactionId: 'kept', payload: other }, rejected], {
    partition: 1,
  })
  await history.beginIncarnation(1, 1n)
  await history.receive(['kept', { transactionId: 'kept', payload: other }, rejected, 'second'], {
    partition: 1,
  })
  return history
}

const { url, pool, history, mend } = await breakable(t, writeStops)
const acknowledgements = [...history.acks, acknowledged(0, 4, 'given up')]
const acksPath = join(t.testdir({ acks: `${acknowledgements.join('\n')}\n` }), 'acks')

function acknowledged(partition: number, offset: number, id: string): string {
  return JSON.stringify({ topic, partition, offset, transaction_id: id, sha256: 'ab'.repeat(32) })
}

function check(acks: string | null = acksPath): Promise<Report> {
  return verify({ databaseUrl: url, ledgerPath: null, acksPath: acks })
}

t.test('what an operator gave up is accounted for and told, and so is a new incarnation', async (t) => {
  const report = await check()
  t.same(differing(report), {})
  t.match(report.givenUp, [
    { name: `${topic}:0`, first: 2, next: 7, actor: 'alice', reason: 'the archive has them' },
  ])
  t.equal(report.acknowledgedGivenUp, 1)
  t.equal(report.notYetConsumed, 0)
  const { checked } = report.invariants.find(({ id }) => id === 'S12')!
  t.equal(checked, 9 + 8, 'offsets of both incarnations, and the given up ones, are counted')
})

t.test(
  'a record is found in the incarnation that is asked for, and else in the latest that has it',
  async (t) => {
    const find = async (offset: number, incarnation?: number) => {
      const answer = await findRecord(pool, { topic, partition: 1, offset: String(offset), incarnation })
      return answer.kind === 'found' ? answer.event.transactionId : undefined
    }
    t.equal(await find(0), 'first', 'only the first incarnation has it')
    t.equal(await find(2, 1), `record:${topic}:1:2`)
    t.equal(await find(2), `record:${topic}:1:2:2`)
    t.equal(await find(3, 2), `record:${topic}:1:3:2`)
    t.equal(await find(1, 1), 'kept')
    t.equal(await find(1, 2), 'kept')
    t.equal(await find(4, 1), undefined)
    t.equal(await find(4), 'second')
  },
)

t.test(
  'a partition is told once, with the counts of all its incarnations, which are conserved',
  async (t) => {
    const expected = [
      {
        partition: 0,
        incarnation: 1,
        nextOffset: '9',
        received: '3',
        holes: '1',
        gaps: '5',
        conserved: true,
      },
      {
        partition: 1,
        incarnation: 2,
        nextOffset: '5',
        received: '2',
        duplicates: '2',
        conflicts: '2',
        rejected: '2',
        gaps: '0',
        conserved: true,
      },
    ]
    t.match(await readPartitions(pool), expected)
    await pool.query('select fold_piece()')
    t.match(await readPartitions(pool), expected, 'as it is folded')
    t.same(await rebuildAll(pool), [], 'and rebuilt')
  },
)

t.test('what is wrong with a gap or an incarnation is told', async (t) => {
  for (const [broken, statement, found] of [
    [
      'a gap that no decision names',
      `delete from partition_decisions where type = 'gap_accepted'`,
      {
        S12: /says that 5 were given up, but the decisions say 0/,
        S20: /^given up: .*:0:4 is acknowledged, but not in the log$/,
      },
    ],
    [
      'a decision that gives up more than was passed over',
      `update partition_decisions set resume_offset = 9 where type = 'gap_accepted'`,
      { S12: /says that 0 were given up, but the decisions say 2/ },
    ],
    [
      'an advance that passes over offsets as given up',
      `update partition_advances set gaps = gaps + 1, holes = holes - 1 where holes = 1`,
      { S12: /says that 1 were given up, but the decisions say 0/ },
    ],
    [
      'an incarnation that begins elsewhere',
      `update partitions set begins_at = 0 where incarnation = 2`,
      { S12: /:1 \(incarnation 2\): its first advance begins at 1, but should begin at 0$/ },
    ],
    [
      'a record event of an incarnation that there is not',
      `update message_events set incarnation = 3 where transaction_id = 'second'`,
      { S2: /:1 \(incarnation 3\):4: has a record event, but was never consumed$/, S12: /\(incarnation 2\)/ },
    ],
    [
      'a record that two incarnations have, counted in one of them twice',
      `update message_events set incarnation = 1 where transaction_id = 'kept' or related_message_id is not null or incarnation = 2`,
      { S2: /:1:\d is accounted for a second time$/ },
    ],
  ] as const) {
    await t.test(broken, async (t) => {
      t.teardown(mend)
      await pool.query('create table if not exists saved.partitions as select * from public.partitions')
      t.teardown(() =>
        pool.query(
          'update partitions p set begins_at = s.begins_at from saved.partitions s where s.partition_id = p.partition_id',
        ),
      )
      await pool.query(statement)
      const differences = differing(await check())
      for (const [invariant, sentence] of Object.entries(found))
        t.match(differences[invariant]?.join('\n') ?? '', new RegExp(sentence.source, 'm'))
    })
  }
})

t.test(
  'two records acknowledged under one offset are both looked for, as two incarnations have them',
  async (t) => {
    const acks = t.testdir({ acks: `${[...history.acks, acknowledged(1, 3, 'lost')].join('\n')}\n` })
    t.match(differing(await check(join(acks, 'acks'))), {
      S20: [`lost: ${topic}:1:3 was acknowledged with other bytes`],
    })
  },
)
