import type { ClientBase } from 'pg'

/**
 * Refuses a new connection to a standby, for the pool, so that after a failover no connection is kept to a server that may answer
 * questions for ever and never takes an event: the next one finds the primary, once the name leads there.
 */
export async function refuseStandby(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ is_standby: boolean }>('select pg_is_in_recovery() as is_standby')
  if (rows[0]?.is_standby === true) throw new Error(refusal)
}

const refusal = 'the server is a standby, which cannot be written to: promote it, or name the primary'
