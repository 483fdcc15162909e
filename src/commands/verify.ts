import pg from 'pg'
import { databaseForTools } from '../config.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { DatabaseUnreached } from '../runtime/tool-sessions.ts'
import { FileFault } from '../verify/read-json-lines.ts'
import { isClean, printJson, printText } from '../verify/print.ts'
import { ConnectionFault } from '../verify/in-snapshot.ts'
import { verify } from '../verify/verify.ts'
import { explainDatabase } from './explain-database.ts'
import { recorded } from './record-command.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run verify -- [--ledger F] [--acks F] [--archive DIR]… [--json]

Checks the log against every invariant that the given files allow, and prints one line for each. It changes nothing. Services may be
running.

  --ledger F  the file that the mock processor wrote with its --ledger
  --acks F    the file that \`npm run produce\` wrote with its --acks
  --archive DIR  an archive that \`npm run archive\` wrote, or a folder of archives; it is checked together with the database. It can be
              given more than once
  --json      prints one JSON object instead of lines
  --help      this text

Ends with 0 if nothing differs, 1 if something differs, 2 if it could not run.
`

interface Flags {
  ledger?: string | undefined
  acks?: string | undefined
  archive?: string[] | undefined
  json: boolean
}

async function run(flags: Flags): Promise<number> {
  const { connectionString: databaseUrl, ssl: databaseSsl } = databaseForTools()
  const report = await verify({
    databaseUrl,
    databaseSsl,
    ledgerPath: flags.ledger ?? null,
    acksPath: flags.acks ?? null,
    archives: flags.archive ?? [],
  })
  process.stdout.write(flags.json ? printJson(report) : printText(report))
  return isClean(report) ? exitCodes.done : exitCodes.differs
}

/** Why the checker could not run, in one sentence. */
function explain(fault: unknown): string {
  if (fault instanceof FileFault) return fault.message
  if (fault instanceof ConnectionFault) return explainDatabase(new DatabaseUnreached(fault.cause))
  if (fault instanceof pg.DatabaseError)
    return explainDatabase(fault, `PostgreSQL refused: ${reasonOf(fault)}.`)
  // Only an error of the file system has a path.
  if (fault instanceof Error && 'code' in fault && 'path' in fault)
    return `A file cannot be read: ${fault.message}.`
  return reasonOf(fault)
}

process.exitCode = await runCommand(
  recorded('verify', {
    usage,
    options: {
      ledger: { type: 'string' },
      acks: { type: 'string' },
      archive: { type: 'string', multiple: true },
      json: { type: 'boolean', default: false },
    },
    run,
    explain,
  }),
)
