import type { Pool } from 'pg'
import { archivesNow, type LogCursor } from './log-cursor.ts'

/** Reads where the readable log ends now. `readHead` also finds out what holds it back. */
export async function readLogEnd(database: Pick<Pool, 'query'>): Promise<LogCursor> {
  const { rows } = await database.query<{ position: string; epoch: number; archives: number }>({
    name: 'read_log_end',
    text: `select log_end() as position, (select max(epoch) from log_epochs) as epoch, ${archivesNow} as archives`,
  })
  const [row] = rows
  if (row === undefined) throw new Error('the end of the log is one row')
  return { epoch: row.epoch, position: row.position, messageId: '0', version: 0, archives: row.archives }
}
