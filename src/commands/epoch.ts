import pg from 'pg'
import { databaseForTools } from '../config.ts'
import { readAuthor } from '../config/read-author.ts'
import { beginEpoch } from '../log/write/begin-epoch.ts'
import { connectPatiently } from '../runtime/connect-patiently.ts'
import { prepareSession } from '../runtime/prepare-session.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { createToolClient } from '../runtime/tool-sessions.ts'
import { explainDatabase } from './explain-database.ts'
import { recorded } from './record-command.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run epoch -- --reason R [--operator O]

Begins a new epoch of the log, so that its positions continue to rise. Run it once after a dump was restored into a younger cluster, whose
transaction ids are below those in the log. Until then nothing can be appended. Services may be running; readers keep their cursors.
It connects as the owner (MIGRATE_DATABASE_URL, if that is set).

  --reason R    why, for the log
  --operator O  who decides (default: the user of this shell)
  --help        this text

Ends with 0 if an epoch has begun, 1 if none is needed, 2 if it could not run.
`

// A reader of the log locks it for one statement, but a dump or the checker until it has finished.
const lockTimeoutMs = 10_000
const lockNotAvailable = '55P03'

async function run(flags: { reason?: string | undefined; operator?: string | undefined }): Promise<number> {
  const { operator, reason } = readAuthor(flags)
  connectPatiently()
  const epoch = await begin(operator, reason)
  process.stdout.write(
    epoch === null
      ? "The log's positions are below the transaction ids of this cluster: no new epoch is needed, and none has begun.\n"
      : `Epoch ${epoch} has begun. Recorded as decided by ${operator}: ${reason}\n`,
  )
  return epoch === null ? exitCodes.differs : exitCodes.done
}

async function begin(operator: string, reason: string): Promise<number | null> {
  const client = createToolClient('epoch', { ...databaseForTools('owner'), lock_timeout: lockTimeoutMs })
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
    return 'Another session has been reading the log for a long time, perhaps a dump: try again when it has finished.'
  return explainDatabase(fault, `The new epoch could not begin: ${reasonOf(fault)}.`)
}

process.exitCode = await runCommand(
  recorded('epoch', {
    usage,
    options: { reason: { type: 'string' }, operator: { type: 'string' } },
    run,
  }),
)
