import { setDefaultAutoSelectFamilyAttemptTimeout } from 'node:net'
import pg from 'pg'

const connectMaxMs = 5_000
// Settings that the checker's statements need, whatever the defaults of the database or the role are. Names that a server does
// not know are skipped.
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

/** The database gave no connection, or the connection broke; `cause` says why. */
export class ConnectionFault extends Error {}

/**
 * Opens one snapshot of the database, reads in it, and changes nothing. The transaction is declared read-only, so that no
 * mistake here can change what is checked.
 */
export async function inSnapshot<Result>(
  connection: { connectionString: string; ssl?: pg.ClientConfig['ssl'] },
  act: (client: pg.Client) => Promise<Result>,
): Promise<Result> {
  // Node gives each address of a name 250 ms. Some connects take longer.
  setDefaultAutoSelectFamilyAttemptTimeout(connectMaxMs / 2)
  const client = new pg.Client({
    ...connection,
    application_name: 'transaction-queue-proxy verify',
    connectionTimeoutMillis: connectMaxMs,
    keepAlive: true,
  })
  // A client that loses its connection emits an error, idle or not. The query that runs rejects with the same one.
  let broke: Error | null = null
  client.on('error', (error) => (broke = error))
  await client.connect().catch((cause: unknown) => {
    throw new ConnectionFault('there is no connection', { cause })
  })
  try {
    await client.query('begin isolation level repeatable read, read only')
    // A statement of its own, before the others: with a low threshold PostgreSQL would already compile the next statement.
    await client.query('set local jit = off')
    // Before the snapshot is taken, which these statements do not do: `npm run archive` must not drop a segment that the snapshot
    // still has. In the order of drop_segment(), so that neither waits for the other in a circle. It waits for milliseconds.
    await client.query('set local lock_timeout = 0; set local statement_timeout = 0')
    await client.query(
      'lock table only public.message_states, only public.records, only public.message_events in access share mode',
    )
    await client.query(
      `select set_config(s.name, w.value, true)
        from jsonb_each_text($1) w (name, value) join pg_settings s on lower(s.name) = w.name`,
      [settings],
    )
    // The first statement that reads takes the snapshot.
    await client.query('select from legal_transitions limit 1')
    const result = await act(client)
    await client.query('commit')
    return result
  } catch (cause) {
    if (cause === broke) throw new ConnectionFault('the connection broke', { cause })
    throw cause
  } finally {
    await client.end()
  }
}

/** Runs statements that must walk tables in the order of their keys, without gathering or sorting rows. */
export async function inKeyOrder<Result>(client: pg.Client, act: () => Promise<Result>): Promise<Result> {
  const switches = ['enable_seqscan', 'enable_bitmapscan', 'enable_hashjoin', 'enable_sort']
  for (const each of switches) await client.query(`set local ${each} = off`)
  const result = await act()
  for (const each of switches) await client.query(`set local ${each} = default`)
  return result
}
