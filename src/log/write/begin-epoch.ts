import type { ClientBase } from 'pg'

/**
 * Has positions go on rising in a cluster that is younger than the log it was given. Services may be running: they go on in
 * the new epoch with their next transaction.
 *
 * @param client of the log's owner
 * @returns the number of the new epoch; null if the cluster is not younger, where nothing is changed
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
