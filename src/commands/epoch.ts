import pg from 'pg'
import { databaseForTools } from '../config.ts'
import { readAuthor } from '../config/read-author.ts'
import { beginEpoch } from '../log/write/begin-epoch.ts'
import { connectPatiently } from '../runtime/connect-patiently.ts'
import { explainConnection } from '../runtime/explain-connection.ts'
import { prepareSession } from '../runtime/prepare-session.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run epoch -- --reason R [--operator O]

After the database was restored from a dump into a younger cluster, whose transaction ids lie below those in the log: begins a new
epoch, so that the log's positions go on rising. Until then nothing can be appended. Services may be running; readers resume by
the cursors they have. Works as the owner (MIGRATE_DATABASE_URL, where that is set).

  --reason R    why, for the log
  --operator O  who decides (default: the user of this shell)
  --help        this text

Ends with 0 if an epoch has begun, 1 if there is no need for one, 2 if it could not run.
`

// Whoever reads the log holds it for a statement, and a dump or the checker until they have finished.
const lockTimeoutMs = 10_000
const lockNotAvailable = '55P03'

async function run(flags: { reason?: string | undefined; operator?: string | undefined }): Promise<number> {
  const { operator, reason } = readAuthor(flags)
  connectPatiently()
  const epoch = await begin(operator, reason)
  process.stdout.write(
    epoch === null
      ? "The log's positions lie below the transaction ids of this cluster: no new epoch is needed, and none has begun.\n"
      : `Epoch ${epoch} has begun. Recorded as decided by ${operator}: ${reason}\n`,
  )
  return epoch === null ? exitCodes.differs : exitCodes.done
}

async function begin(operator: string, reason: string): Promise<number | null> {
  const client = new pg.Client({
    ...databaseForTools('owner'),
    connectionTimeoutMillis: 5_000,
    lock_timeout: lockTimeoutMs,
    application_name: 'transaction-queue-proxy epoch',
  })
  // An idle client that loses its connection emits an error; the query in hand rejects with it anyway.
  client.on('error', () => undefined)
  try {
    await client.connect()
    await prepareSession(client, null)
    return await beginEpoch(client, operator, reason)
  } catch (cause) {
    throw new Error(explain(cause), { cause })
  } finally {
    await client.end()
  }
}

function explain(fault: unknown): string {
  if (fault instanceof pg.DatabaseError && fault.code === lockNotAvailable)
    return 'Somebody has been reading the log for long, perhaps a dump: try again when that is over.'
  return `The database did not begin an epoch: ${explainConnection(fault)}.`
}

process.exitCode = await runCommand({
  usage,
  options: { reason: { type: 'string' }, operator: { type: 'string' } },
  run,
})
