import pg from 'pg'
import t from 'tap'
import { readLines } from '../../../src/log/archive/read-lines.ts'
import { database } from '../../support/database.ts'
import { History } from '../../verify/history.ts'

t.test('a piece has a bounded number of bytes, however large the records are', async (t) => {
  const { url, pool } = await database(t)
  const history = await History.begin(pool)
  await history.receive(['small', 'x'.repeat(60_000), 'small', 'small', 'small'])
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  t.teardown(() => client.end())
  const segment = { segment: 1, firstMessageId: 1, nextMessageId: 1_000 }
  const sizes = async (pieceMaxBytes?: number): Promise<number[]> => {
    const counts: number[] = []
    for await (const piece of readLines(client, segment, pieceMaxBytes)) {
      counts.push(piece.length)
      if (pieceMaxBytes !== undefined && piece.length > 1)
        t.ok(Buffer.byteLength(piece.join('\n')) <= pieceMaxBytes)
    }
    return counts
  }
  const all = (await sizes()).reduce((sum, each) => sum + each, 0)
  t.same(await sizes(), [all])
  t.same(new Set((await sizes(200_000)).slice(0, -1)), new Set([2]))
  t.same(
    await sizes(1),
    Array.from({ length: all }, () => 1),
  )
})

t.test(
  'the lines of all pieces are in order, and between two of them nothing is held in the database',
  async (t) => {
    const { url, pool } = await database(t)
    const history = await History.begin(pool)
    await history.receive(Array.from({ length: 150 }, (_, at) => `payment ${at}`))
    const client = new pg.Client({ connectionString: url })
    await client.connect()
    t.teardown(() => client.end())
    const { rows: sessions } = await client.query<{ pid: number }>('select pg_backend_pid() as pid')
    const places: string[] = []
    for await (const piece of readLines(client, { segment: 1, firstMessageId: 11, nextMessageId: 141 })) {
      for (const line of piece) {
        const { message_id, version } = JSON.parse(line) as { message_id: number; version: number }
        places.push(`${message_id}/${version}`)
      }
      const { rows } = await pool.query(
        'select state, backend_xmin, (select count(*)::int from pg_locks l where l.pid = a.pid) as locks from pg_stat_activity a where pid = $1',
        [sessions[0]!.pid],
      )
      t.strictSame(rows, [{ state: 'idle', backend_xmin: null, locks: 0 }])
    }
    t.same(
      places,
      Array.from({ length: 130 }, (_, at) => `${at + 11}/1`),
    )
    const { rows: plans } = await client.query("select current_setting('enable_sort') as sort")
    t.strictSame(plans, [{ sort: 'on' }], 'the session plans as before')
  },
)
