import type { ClientBase } from 'pg'

/**
 * Refuses a new connection of the pool if it leads to a standby. A standby answers questions, but it never takes an event.
 * Without this check the pool could keep such a connection after a failover; with it, the next connection finds the primary
 * once the name leads there.
 *
 * @throws Error for the operator, if the server is a standby
 */
export async function refuseStandby(client: ClientBase): Promise<void> {
  const { rows } = await client.query<{ is_standby: boolean }>('select pg_is_in_recovery() as is_standby')
  if (rows[0]?.is_standby === true) throw new Error(refusal)
}

const refusal = 'the server is a standby and takes no writes: promote it, or name the primary'
