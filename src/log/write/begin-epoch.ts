import type { ClientBase } from 'pg'

/**
 * Begins a new epoch, so that positions go on rising in a cluster that is younger than the log it was given. Services may keep
 * running: they go on in the new epoch with their next transaction.
 *
 * @param client a connection as the owner of the log
 * @returns the number of the new epoch; null, and nothing is changed, if the cluster is not younger
 */
export async function beginEpoch(
  client: Pick<ClientBase, 'query'>,
  actor: string,
  reason: string,
): Promise<number | null> {
  const { rows } = await client.query<{ epoch: number | null }>('select begin_epoch($1, $2) as epoch', [
    actor,
    reason,
  ])
  return rows[0]?.epoch ?? null
}
