import type { Pool } from 'pg'
import type { Status } from '../../message/message.ts'

/** Counts the messages of each status, exactly, in one snapshot. */
export async function countByStatus(database: Pick<Pool, 'query'>): Promise<Record<Status, number>> {
  const { rows } = await database.query<Record<Status, string>>({
    name: 'count_by_status',
    text: 'select pending, processing, success, failed, dead_letter from status_counts()',
  })
  const row = rows[0]
  if (row === undefined) throw new Error('status_counts() answered no row')
  return {
    pending: Number(row.pending),
    processing: Number(row.processing),
    success: Number(row.success),
    failed: Number(row.failed),
    dead_letter: Number(row.dead_letter),
  }
}
