import { hostname } from 'node:os'
import { databaseForTools } from '../config.ts'
import { authorOf } from '../config/read-author.ts'
import { recordAccesses, type AccessRecord } from '../log/write/record-accesses.ts'
import { prepareSession } from '../runtime/prepare-session.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { createToolClient, DatabaseUnreached } from '../runtime/tool-sessions.ts'
import { late, within } from '../runtime/within.ts'
import { lacksLog } from './explain-database.ts'
import { exitCodes, type Command, type Flags } from './run-command.ts'

// A command that needs no database waits no longer for one; the others fail by themselves where it is away.
const recordMsMax = 3_000
const valueMax = 500

/**
 * The same command, which leaves two rows in `accesses`: that it was started, by whom and with which flags, and how it ended. A command that
 * cannot be recorded runs all the same, because it may be what mends the database, and says so on stderr when it is through. --help and an
 * unknown flag leave nothing.
 *
 * @param name what follows `npm run`
 */
export function recorded<const Options extends Flags>(
  name: string,
  command: Command<Options>,
): Command<Options> {
  return {
    ...command,
    run: async (flags, words) => {
      const access = describe(name, flags, words)
      const begun = await record({ ...access, kind: 'command_started' })
      if ('fault' in begun) {
        const code = await command.run(flags, words)
        // Where it throws, its own sentence is the one on stderr.
        tell(begun.fault)
        return code
      }
      let code: number = exitCodes.couldNotRun
      try {
        code = await command.run(flags, words)
        return code
      } finally {
        const ended = await record({
          ...access,
          kind: 'command_ended',
          started: begun.access,
          details: { code },
        })
        if ('fault' in ended && code !== exitCodes.couldNotRun) tell(ended.fault)
      }
    },
  }
}

function describe(name: string, flags: Readonly<Record<string, unknown>>, words: readonly string[]) {
  const given = Object.entries(flags).filter(([, value]) => value !== undefined && value !== false)
  return {
    name,
    actor: authorOf(flags),
    details: {
      host: hostname(),
      flags: Object.fromEntries(given.map(([flag, value]) => [flag, maskFlag(value)])),
      ...(words.length === 0 ? {} : { words: words.map(maskFlag) }),
    },
  } satisfies Partial<AccessRecord>
}

/** No flag takes a secret, but a URL or a connection string may hold one. */
function maskFlag(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(maskFlag)
  if (typeof value !== 'string') return value
  return (
    value
      .replace(/\/\/\S*@/g, '//…@')
      .replace(/\b(password|secret|token|key)=[^\s&]*/gi, '$1=…')
      .slice(0, valueMax)
      // PostgreSQL takes no half of a surrogate pair, and the row would be missing.
      .replace(/\p{Cs}/gu, '')
  )
}

/** The number of the row, or why it could not be written. */
async function record(access: AccessRecord): Promise<{ access: string } | { fault: string }> {
  try {
    const answer = await within(write(access), recordMsMax)
    return answer === late ? { fault: `no answer within ${recordMsMax / 1_000} s` } : { access: answer }
  } catch (error) {
    return { fault: explain(error) }
  }
}

async function write(access: AccessRecord): Promise<string> {
  const client = createToolClient('accesses', {
    ...databaseForTools(),
    connectionTimeoutMillis: recordMsMax,
  })
  try {
    await client.connect()
    await prepareSession(client, null)
    return await recordAccesses(client, [access])
  } finally {
    // Whoever is in a hurry does not wait for a server that does not answer.
    void client.end().catch(() => undefined)
  }
}

function explain(error: unknown): string {
  if (lacksLog(error)) return 'the database does not hold the log of this release'
  return error instanceof DatabaseUnreached ? error.reason : reasonOf(error)
}

function tell(reason: string): void {
  process.stderr.write(`This command is not recorded among the accesses: ${reason}.\n`)
}
