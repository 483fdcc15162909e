import pg from 'pg'
import { archive } from '../../src/archive/archive.ts'

/**
 * Archives all segments that can be, as `npm run archive -- --before 0s` does.
 *
 * @param to the folder that the archives are put into
 * @returns the names of the archives that were made
 */
export async function archiveAll(url: string, to: string): Promise<string[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const names: string[] = []
  try {
    const request = {
      before: new Date(Date.now() + 3_600_000),
      directory: to,
      actor: 'alice',
      reason: 'old',
      failpoint: () => undefined,
      // The transactions of others on this server are waited for.
      waitMs: 240_000,
    }
    for await (const step of archive(client, request)) {
      if (step.kind === 'archived') names.push(step.path.slice(step.path.lastIndexOf('/') + 1))
      if (step.kind === 'refused' || step.kind === 'unfinished') throw new Error(step.why)
    }
  } finally {
    await client.end()
  }
  return names
}
