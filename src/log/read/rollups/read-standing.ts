import type { Pool } from 'pg'

/** The messages with an unknown outcome, by what they are now. The counts are decimal digits. */
export type UnknownCounts = { readonly open: string; readonly success: string; readonly deadLetter: string }
export type RetryCount = { readonly retryCount: number; readonly messages: string }

const statement = {
  name: 'read_standing',
  text: `select measure, bucket, sum(n)::text as n from read_rollups('-infinity', '-infinity', $1)
    group by measure, bucket having sum(n) <> 0 order by bucket`,
}

type Row = { measure: string; bucket: number; n: string }

/** Counts the messages that have an unknown outcome. */
export async function countUnknown(database: Pick<Pool, 'query'>): Promise<UnknownCounts> {
  const measures = ['unknown_open', 'unknown_success', 'unknown_dead_letter']
  const { rows } = await database.query<Row>({ ...statement, values: [measures] })
  const [open = '0', success = '0', deadLetter = '0'] = measures.map(
    (measure) => rows.find((row) => row.measure === measure)?.n,
  )
  return { open, success, deadLetter }
}

/** Counts the messages by their number of retries, the lowest first. A number that no message has is left out. */
export async function countByRetries(database: Pick<Pool, 'query'>): Promise<RetryCount[]> {
  const { rows } = await database.query<Row>({ ...statement, values: [['retries']] })
  return rows.map(({ bucket, n }) => ({ retryCount: bucket, messages: n }))
}
