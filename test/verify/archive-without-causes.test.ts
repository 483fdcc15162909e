import { readFileSync } from 'node:fs'
import type { Pool } from 'pg'
import t from 'tap'
import { verify } from '../../src/verify/verify.ts'
import { rebuildAll } from '../support/rebuild.ts'
import { archive, fill } from './archived.ts'

async function differencesIn(url: string, archives: string[]): Promise<string[]> {
  const { invariants } = await verify({ databaseUrl: url, ledgerPath: null, acksPath: null, archives })
  return invariants.flatMap(({ id, named }) => named.map(({ name, what }) => `${id} ${name}: ${what}`))
}

/** Has the sums of a segment counted as an earlier release did, where a condition is met. */
async function leaveCausesOut(pool: Pool, condition: string): Promise<void> {
  await pool.query(`alter function count_rollups rename to count_all_rollups;
    create function count_rollups(in_first bigint default 0, in_next bigint default 9223372036854775807)
    returns table (minute timestamptz, measure text, bucket int, n bigint)
    language sql stable as $$
      select * from count_all_rollups(in_first, in_next) r
      where not (${condition} and r.measure like 'open\\_dead\\_letter\\_%')
    $$`)
}

async function countCauses(pool: Pool): Promise<void> {
  await pool.query('drop function count_rollups; alter function count_all_rollups rename to count_rollups')
}

t.test(
  'an archive from before the causes of dead letters were counted does not make a log differ',
  async (t) => {
    const { url, pool, to } = await fill(t)
    await leaveCausesOut(pool, 'true')
    await rebuildAll(pool)
    const archiving = await archive(url, ['--before', '0s', '--to', to])
    t.equal(archiving.code, 0, archiving.errors + archiving.output)

    await countCauses(pool)
    await pool.query(readFileSync('migrations/0016_open_dead_letters.sql', 'utf8'))
    for (const archives of [[], [to]]) t.strictSame(await differencesIn(url, archives), [])
    t.strictSame(await rebuildAll(pool), [])
  },
)

t.test('a tool of an earlier release takes the dead letters of what it archives along', async (t) => {
  const { url, pool, to } = await fill(t)
  // The tool's own query, and not what the functions of this release count.
  await leaveCausesOut(pool, `current_query() like '%from count_rollups(%'`)
  const archiving = await archive(url, ['--before', '0s', '--to', to])
  t.equal(archiving.code, 0, archiving.errors + archiving.output)
  const { rows } = await pool.query(`select from archived_rollups where measure like 'open%'`)
  t.equal(rows.length, 0, 'its sums do not have them')

  await countCauses(pool)
  for (const archives of [[], [to]]) t.strictSame(await differencesIn(url, archives), [])
  t.strictSame(await rebuildAll(pool), [])
})
