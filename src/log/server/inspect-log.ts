import type { Pool } from 'pg'

export type LogStanding = {
  /** By how many positions the log is ahead of the cluster's transaction ids; null if it is not ahead. */
  readonly rewoundBy: string | null
  /** The role can change the log in other ways than through the functions that append to it. */
  readonly mayForge: boolean
}

/** Checks whether the log fits the cluster that it is in, and whether this role could change it. */
export async function inspectLog(database: Pick<Pool, 'query'>): Promise<LogStanding> {
  const { rows } = await database.query<{ rewound_by: string; may_forge: boolean }>(
    `select rewound_by(log_floor()) as rewound_by,
       has_table_privilege('message_events', 'insert, update, delete, truncate, trigger') as may_forge`,
  )
  const [row] = rows
  if (row === undefined) throw new Error('the standing of the log is one row')
  return { rewoundBy: BigInt(row.rewound_by) > 0n ? row.rewound_by : null, mayForge: row.may_forge }
}
