import type { Pool } from 'pg'

const statement = {
  name: 'read_destination_urls',
  text: `select n.instance, n.destination_url as url from instances n where n.instance = any ($1) and n.destination_url is not null`,
}

/** Where each of these instances sends its attempts, in any order. One that did not record it, as those of earlier releases, has no row. */
export async function readDestinationUrls(
  database: Pick<Pool, 'query'>,
  instances: readonly string[],
): Promise<{ instance: string; url: string }[]> {
  const { rows } = await database.query<{ instance: string; url: string }>({
    ...statement,
    values: [instances],
  })
  return rows
}
