import { databaseForTools } from '../config.ts'
import { rebuild, type Difference } from '../log/write/rebuild.ts'
import { connectPatiently } from '../runtime/connect-patiently.ts'
import { printable } from '../runtime/printable.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { createToolPool } from '../runtime/tool-sessions.ts'
import { explainDatabase } from './explain-database.ts'
import { recorded } from './record-command.ts'
import { exitCodes, FlagFault, runCommand } from './run-command.ts'

const usage = `Usage: npm run rebuild

Recomputes the projection, the inbox, the decisions about messages, the destinations, the counts and the rollups from the log, and names
what differed. Services may be running.

  --help  this text

Ends with 0 if nothing differed, 1 if something differed and was repaired, 2 if it could not run.
`

async function run(): Promise<number> {
  connectPatiently()
  const database = createToolPool('rebuild', databaseForTools())
  try {
    let differences = 0
    for await (const difference of rebuild(database)) {
      differences++
      process.stdout.write(`${printable(name(difference))}\n`)
    }
    process.stdout.write(
      differences === 0 ? 'Nothing differed from the log.\n' : `${differences} differences from the log.\n`,
    )
    return differences === 0 ? exitCodes.done : exitCodes.differs
  } finally {
    await database.end()
  }
}

function name(difference: Difference): string {
  switch (difference.kind) {
    case 'count':
      return `${difference.status} messages: ${difference.was} were counted, there are ${difference.is}; corrected`
    case 'rollup': {
      const { minute, measure, bucket, was, is } = difference
      return `${measure} (bucket ${bucket}) of ${minute ?? 'now'}: was ${was}, is ${is}; corrected`
    }
    case 'failures': {
      const { minute, pattern, was, is } = difference
      return `failures of ${minute} (${pattern}): were ${was}, are ${is}; corrected`
    }
    case 'partition': {
      const { topic, partition, was, is } = difference
      return `fold of ${topic}:${partition}: was ${was}, is ${is}; removed, the next fold sums it again`
    }
    case 'destination': {
      const { destination, column, was, is } = difference
      if (column === null) return `destination ${destination}: had no row, is ${is}; repaired`
      return `destination ${destination}: ${column} was ${was}, is ${is}; repaired`
    }
    case 'column':
    case 'missing':
    case 'surplus':
    case 'inbox':
    case 'contradiction':
    case 'position':
    case 'decision':
      return nameOfMessage(difference)
  }
}

function nameOfMessage(difference: Extract<Difference, { messageId: string }>): string {
  const message = `message ${difference.messageId} (${difference.transactionId})`
  switch (difference.kind) {
    case 'column':
      return `${message}: ${difference.column} was ${difference.was}, is ${difference.is}; repaired`
    case 'missing':
      return `${message}: had no state, is ${difference.status}; repaired`
    case 'surplus':
      return `${message}: was ${difference.status} without an event in the log; removed`
    case 'inbox':
      return `${message}: was missing from the inbox; repaired`
    case 'position':
      return `${message}: version ${difference.version} was missing from event_positions; repaired`
    case 'decision':
      return `${message}: the decision that stands was ${difference.was ?? 'none'}, is ${difference.is ?? 'none'}; repaired`
    case 'contradiction':
      return `${message}: the inbox says ${difference.was}, the log ${difference.is}; this cannot be repaired`
  }
}

/** Why it could not run, as one sentence. */
function explain(fault: unknown): string {
  if (fault instanceof FlagFault) return fault.message
  return explainDatabase(fault, `Could not rebuild: ${reasonOf(fault)}`)
}

process.exitCode = await runCommand(recorded('rebuild', { usage, options: {}, run, explain }))
