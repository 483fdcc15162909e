import pg from 'pg'
import { ownsLog } from '../log/archive/session.ts'
import { isPooled } from '../runtime/pooler.ts'
import { explainMemory, findMemoryApart } from './find-memory.ts'

const askMsMax = 5_000

/**
 * Finds why this service can never archive by itself, so that its start is refused: the role has no right to, or the folder is in memory.
 * A folder that is not there is no such fault. It may come back, and payments do not wait for it.
 *
 * @param owner the connection that migrates
 * @returns a sentence for each fault
 * @throws what pg throws if the database does not answer
 */
export async function inspectRetention(owner: pg.ClientConfig, directory: string): Promise<string[]> {
  const faults: string[] = []
  // A folder that does not answer may come back, like one that is not there.
  const fileSystem = await findMemoryApart(directory, askMsMax)
  if (fileSystem !== null) faults.push(`ARCHIVE_DIR: ${explainMemory(directory, fileSystem)}.`)
  const client = new pg.Client({ ...owner, connectionTimeoutMillis: askMsMax, query_timeout: askMsMax })
  // A connection that breaks emits an error; the query in hand rejects with it anyway.
  client.on('error', () => undefined)
  await client.connect()
  try {
    if (await isPooled(client))
      faults.push(
        'RETAIN_LOG holds a lock of its session and was led to a pooler: name a direct connection of the owner in MIGRATE_DATABASE_URL.',
      )
    // Of a database without a log, whoever migrates it will be the owner.
    if ((await ownsLog(client)) === false)
      faults.push(
        'RETAIN_LOG needs the owner of the tables, because nobody else can drop a segment: name the owner in MIGRATE_DATABASE_URL, ' +
          'or leave RETAIN_LOG out and run `npm run archive` as the owner.',
      )
  } finally {
    await client.end()
  }
  return faults
}
