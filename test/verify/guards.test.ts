import t from 'tap'
import { verify } from '../../src/verify/verify.ts'
import { database } from '../support/database.ts'

const { pool, url } = await database(t)

async function guards() {
  const { invariants } = await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })
  const { checked, named } = invariants.find(({ id }) => id === 'S30')!
  return { checked, named: named.map(({ name }) => name) }
}

t.test('a table of the ground whose guard is off, or gone, is named', async (t) => {
  t.match(await guards(), { checked: 20, named: [] })
  await pool.query('alter table accesses disable trigger append_only')
  await pool.query('alter table records_s1 enable trigger append_only')
  await pool.query('drop trigger append_only on inbox')
  t.strictSame((await guards()).named.sort(), ['accesses', 'inbox', 'records_s1'])
})
