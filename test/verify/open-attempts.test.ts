import t from 'tap'
import { findExpired } from '../../src/log/write/abandon.ts'
import { verify } from '../../src/verify/verify.ts'
import { noGrace, openAttempt, stateOf } from '../log/support.ts'
import { database } from '../support/database.ts'
import { rebuildAll } from '../support/rebuild.ts'
import { differing } from './broken.ts'

t.test('an open attempt that nobody would look at is told, and a rebuild has it looked at', async (t) => {
  const { pool, url } = await database(t)
  const messageId = await openAttempt(pool, 0)
  const { transaction_id: name } = await stateOf(pool, messageId)
  await pool.query('delete from lease_checks')
  t.strictSame(await findExpired(pool, noGrace, '-infinity', 10, []), [])
  const told = differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null }))
  t.strictSame(told.S4, [`${name} v2: is processing, and neither in lease_checks nor in overdue_attempts`])
  t.strictSame(await rebuildAll(pool), [], 'the log itself is whole')
  t.match(await findExpired(pool, noGrace, '-infinity', 10, []), [{ messageId }])
})
