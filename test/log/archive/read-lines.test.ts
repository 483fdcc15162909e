import pg from 'pg'
import t from 'tap'
import { readLines } from '../../../src/log/archive/read-lines.ts'
import { inOneSnapshot } from '../../../src/log/archive/session.ts'
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
  const sizes = async (pieceMaxBytes?: number): Promise<number[]> =>
    inOneSnapshot(client, async () => {
      const counts: number[] = []
      for await (const piece of readLines(client, segment, pieceMaxBytes)) {
        counts.push(piece.length)
        if (pieceMaxBytes !== undefined && piece.length > 1)
          t.ok(Buffer.byteLength(piece.join('\n')) <= pieceMaxBytes)
      }
      return counts
    })
  const all = (await sizes()).reduce((sum, each) => sum + each, 0)
  t.same(await sizes(), [all])
  t.same(new Set((await sizes(200_000)).slice(0, -1)), new Set([2]))
  t.same(
    await sizes(1),
    Array.from({ length: all }, () => 1),
  )
})
