import t from 'tap'
import { forgetPositions } from '../../../src/log/archive/forget-positions.ts'
import { makeSegments } from '../../../src/log/server/make-segments.ts'
import { foldCounts } from '../../../src/log/write/fold-counts.ts'
import { verify } from '../../../src/verify/verify.ts'
import { database } from '../../support/database.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import { differing } from '../../verify/broken.ts'
import { writeHistory } from '../../verify/history.ts'

// What Debezium makes by default. PostgreSQL then refuses to delete and update where a row has no identity, whether or not anybody subscribes.
t.test('beside a publication for all tables everything can still be written', async (t) => {
  const { pool, url } = await database(t)
  await pool.query('create publication everything for all tables')
  await writeHistory(pool)
  await foldCounts(pool)
  await forgetPositions(pool)
  await pool.query(`select setval('message_ids', 5000000)`)
  t.equal(await makeSegments(pool, 1_000), 1)
  t.same(await rebuildAll(pool), [])
  t.same(differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })), {})
  const { rows } = await pool.query(
    `select c.oid::regclass::text as name from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and c.relreplident <> 'f'
       and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)`,
  )
  t.same(rows, [], 'every table has an identity for its rows')
})
