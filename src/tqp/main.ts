#!/usr/bin/env node
import { exitCodes, outliveReaders } from '../commands/run-command.ts'
import { accesses } from './accesses.ts'
import { completionOf } from './completion-of.ts'
import { decide } from './decide.ts'
import { destination } from './destination.ts'
import { handOver } from './hand-over.ts'
import { jobs, plan, start } from './jobs.ts'
import { list } from './list.ts'
import { show } from './show.ts'
import { status } from './status.ts'
import type { Subcommand } from './subcommand.ts'
import { watch } from './watch.ts'

const overApi = [status, list, show, watch, ...decide, destination, plan, start, jobs, accesses]
const beside = [
  handOver('verify', 'check the log (beside the database)', ['ledger', 'acks', 'archive', 'json']),
  handOver('token', 'create a token for the API', ['name', 'role']),
]
const subcommands: readonly Subcommand[] = [...overApi, ...beside, completionOf([...overApi, ...beside])]

const usage = `Usage: npx tqp COMMAND [FLAGS …]

Asks and steers a running service over its API. TQP_URL says where it is (default: http://localhost:8000), TQP_TOKEN who asks.
\`npx tqp COMMAND --help\` lists the flags of a command.

${subcommands.map(({ name, summary }) => `  ${name.padEnd(13)} ${summary}\n`).join('')}
  --help        this text

Ends with 0 if it is done, 1 if it was refused (and says why), 2 if the service could not be reached or the command line is wrong.
`

async function run([name, ...args]: readonly string[]): Promise<number> {
  if (name === '--help' || name === '-h') {
    process.stdout.write(usage)
    return exitCodes.done
  }
  const subcommand = subcommands.find((each) => each.name === name)
  if (subcommand !== undefined) return subcommand.run(args)
  if (name?.startsWith('-') === true) {
    process.stderr.write(`Unknown option '${name}'; --help lists the flags.\n`)
    return exitCodes.couldNotRun
  }
  const what = name === undefined ? 'Name a command' : `There is no command ${JSON.stringify(name)}`
  process.stderr.write(
    `${what}: ${subcommands.map((each) => each.name).join(', ')}; --help says what each does.\n`,
  )
  return exitCodes.couldNotRun
}

outliveReaders()
process.exitCode = await run(process.argv.slice(2))
