import type pg from 'pg'

/**
 * Has `target`, which is migrated and empty, hold what `source` holds, as pg_restore leaves it: rows as they were, sequences
 * where they stood. Written here because pg_dump does not come with the embedded PostgreSQL.
 */
export async function restore(source: pg.Pool, target: pg.Pool): Promise<void> {
  const { rows: tables } = await source.query<{ name: string }>(
    `select oid::regclass::text as name from pg_class where relnamespace = 'public'::regnamespace and relkind in ('r', 'p')
       and not relispartition`,
  )
  const client = await target.connect()
  try {
    // A dump has the partitions; a target that is only migrated has none yet.
    await client.query('select make_segments()')
    // As superuser, so that neither the projection nor the order of tables matters.
    await client.query('set session_replication_role = replica')
    await client.query('delete from status_count_folds')
    for (const { name } of tables) {
      const { rows } = await source.query<{ all: string | null }>(
        `select json_agg(r)::text as all from ${name} r`,
      )
      await client.query(
        `insert into ${name} overriding system value
         select * from json_populate_recordset(null::${name}, $1::json) on conflict do nothing`,
        [rows[0]?.all ?? '[]'],
      )
    }
    const { rows: sequences } = await source.query<{ name: string; last_value: string | null }>(
      `select sequencename as name, last_value from pg_sequences where schemaname = 'public'`,
    )
    for (const { name, last_value } of sequences)
      if (last_value !== null) await client.query('select setval($1::regclass, $2)', [name, last_value])
    await client.query('set session_replication_role = origin')
  } finally {
    client.release()
  }
}
