import t from 'tap'
import { verify } from '../../src/verify/verify.ts'
import { database } from '../support/database.ts'

const { pool, url } = await database(t)

async function guards() {
  const { invariants } = await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })
  const { checked, named } = invariants.find(({ id }) => id === 'S29')!
  return { checked, S29: named.map(({ name }) => name).sort() }
}

t.test('a table of the ground whose guard is off, or gone, is named', async (t) => {
  t.match(await guards(), { checked: 20, S29: [] })
  await pool.query('alter table accesses disable trigger append_only')
  await pool.query('alter table records_s1 enable trigger append_only')
  await pool.query('drop trigger append_only on inbox')
  t.match(await guards(), { S29: ['accesses', 'inbox', 'records_s1'] })
})
