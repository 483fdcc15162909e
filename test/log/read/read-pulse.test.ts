import t from 'tap'
import { readPulse } from '../../../src/log/read/read-pulse.ts'
import { database } from '../../support/database.ts'
import { openAttempt } from '../support.ts'

t.test('a lease that ended long ago is told, also while nobody looks', async (t) => {
  const { pool } = await database(t)
  await openAttempt(pool, 0)
  t.equal((await readPulse(pool)).oldestDueAgeSeconds, 0)
  await pool.query(`update lease_checks set lease_ends_at = lease_ends_at - interval '1 minute'`)
  t.ok((await readPulse(pool)).oldestDueAgeSeconds >= 60)
})
