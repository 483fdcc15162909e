import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'

// How long all others may wait behind each try. They are below deadlock_timeout (1 s by default), so nobody is thrown out of a deadlock.
const triesMs = [10, 20, 50, 100, 200, 200, 200, 200, 200, 200]
const restMs = 100

const lockNotAvailable = '55P03'

/**
 * Locks all tables of the log for the rest of the transaction, or none of them: whoever holds some and waits for others meets writers that
 * took them in another order. It is tried several times, and everybody is let through in between.
 *
 * @param client in a transaction, as the owner of the log
 * @throws what pg throws: the last time that a lock could not be had
 */
export async function lockTables(client: pg.Client): Promise<void> {
  const { rows } = await client.query<{ name: string }>(
    `select c.oid::regclass::text as name from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p') and not c.relispartition
       and c.relowner = (select l.relowner from pg_class l where l.oid = to_regclass('public.message_events'))
     order by 1`,
  )
  if (rows.length === 0) return
  const tables = rows.map(({ name }) => name).join(', ')
  const before = await client.query<{ ms: string }>(`select current_setting('lock_timeout') as ms`)
  for (const [at, ms] of triesMs.entries()) {
    await client.query('savepoint before_locks')
    try {
      await client.query(`select set_config('lock_timeout', $1, true)`, [String(ms)])
      await client.query(`lock table ${tables} in access exclusive mode`)
      await client.query(`select set_config('lock_timeout', $1, true)`, [before.rows[0]?.ms])
      return
    } catch (error) {
      const isLast = at === triesMs.length - 1
      if (!(error instanceof pg.DatabaseError) || error.code !== lockNotAvailable || isLast) throw error
      await client.query('rollback to savepoint before_locks')
      await sleep(restMs)
    }
  }
}
