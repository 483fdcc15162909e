import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net'
import pg from 'pg'

const connectMaxMs = 5_000
// What the checker's statements rest on, whatever the database or the role has for a default. Names that a server does not know are
// passed over.
const settings = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  transaction_timeout: '0',
  search_path: 'public, pg_temp',
  client_encoding: 'UTF8',
  datestyle: 'ISO, YMD',
  timezone: 'UTC',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  standard_conforming_strings: 'on',
  work_mem: '64MB',
}

/**
 * Opens one snapshot of the database, reads in it, and leaves no trace. Read-only is what the transaction is declared as, so
 * that no mistake here can change what is checked.
 */
export async function inSnapshot<Result>(
  connection: { connectionString: string; ssl?: pg.ClientConfig['ssl'] },
  act: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  // Node's 250 ms for each address of a name are less than some connects take.
  setDefaultAutoSelectFamilyAttemptTimeout(connectMaxMs / 2)
  const client = new pg.Client({
    ...connection,
    application_name: 'transaction-queue-proxy verify',
    connectionTimeoutMillis: connectMaxMs,
    keepAlive: true,
  })
  // An idle client that loses its connection emits an error; the query in hand rejects with it anyway.
  client.on('error', () => undefined)
  await client.connect()
  try {
    await client.query('begin isolation level repeatable read, read only')
    // By itself: where the compiler is quick to start, the next statement would be the first that it compiles.
    await client.query('set local jit = off')
    await client.query(
      `select set_config(s.name, w.value, true)
        from jsonb_each_text($1) w (name, value) join pg_settings s on lower(s.name) = w.name`,
      [settings],
    )
    // A snapshot is taken by the first statement that reads.
    await client.query('select from legal_transitions limit 1')
    const result = await act(client)
    await client.query('commit')
    return result
  } finally {
    await client.end()
  }
}

/** Runs statements that walk tables in the order of their keys, and must not gather or sort them. */
export async function inKeyOrder<Result>(client: pg.Client, act: () => Promise<Result>): Promise<Result> {
  const switches = ['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_sort']
  for (const each of switches) await client.query(`set local ${each} = off`)
  const result = await act()
  for (const each of switches) await client.query(`set local ${each} = default`)
  return result
}
