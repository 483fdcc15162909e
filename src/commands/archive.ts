import { constants, setPriority } from 'node:os'
import { resolve } from 'node:path'
import type pg from 'pg'
import { archive, judgeSegments, openFolder } from '../archive/archive.ts'
import { describeStep, printStep } from '../archive/archive-step.ts'
import { ArchiveFault } from '../archive/archive-folder.ts'
import { databaseForTools, failpointForTools } from '../config.ts'
import { readAuthor } from '../config/read-author.ts'
import { inspectLog } from '../log/server/inspect-log.ts'
import { ownsLog, readNow } from '../log/archive/session.ts'
import { connectPatiently } from '../runtime/connect-patiently.ts'
import { normalizeDateTime } from '../runtime/date-time.ts'
import { createFailpoint } from '../runtime/failpoint.ts'
import { isPooled } from '../runtime/pooler.ts'
import { prepareSession } from '../runtime/prepare-session.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { createToolClient } from '../runtime/tool-sessions.ts'
import { explainDatabase } from './explain-database.ts'
import { recorded } from './record-command.ts'
import { exitCodes, FlagFault, readCount, runCommand } from './run-command.ts'

const usage = `Usage: npm run archive -- --before AGE --to DIR [--dry-run] [--wait S] [--reason R] [--operator O] [--json]

Moves old segments of the log out of the database into archives. A segment is archived if its last event is
older than AGE and each of its messages is a success or a dead letter. The others are named with what holds them. Each archive is a folder in DIR. It is read back and compared with
the database before the segment is dropped. Services may be running. It connects as the owner (MIGRATE_DATABASE_URL, if that is set).

  --before AGE  a time (UTC: 2026-01-31, 2026-01-31T12:00:00Z), or how long ago: 400d, 36h, 90m, 30s
  --to DIR      the folder for the archives; it is made if it is not there
  --dry-run     only says which segments can be archived, and what holds the others
  --wait S      how many seconds to wait for transactions that keep a segment from being dropped (default: 600)
  --reason R    why, for the log (default: older than AGE)
  --operator O  who decides (default: the user of this shell)
  --json        prints one JSON object a line instead of sentences, and {"step":"end"} after the last segment
  --allow-memory  lets DIR lie in memory (tmpfs, ramfs), where archives are lost when the machine stops: for tests
  --by-service  ends as soon as the process that started it does, and does not make DIR: for RETAIN_LOG
  --help        this text

Ends with 0 if every segment that can be archived is, 1 if one could not be dropped (its line says what is to be done), 2 if it could
not run.
`

const options = {
  before: { type: 'string' },
  to: { type: 'string' },
  'dry-run': { type: 'boolean', default: false },
  wait: { type: 'string', default: '600' },
  reason: { type: 'string' },
  operator: { type: 'string' },
  json: { type: 'boolean', default: false },
  'allow-memory': { type: 'boolean', default: false },
  'by-service': { type: 'boolean', default: false },
} as const

type Flags = {
  before?: string | undefined
  to?: string | undefined
  'dry-run': boolean
  wait: string
  reason?: string | undefined
  operator?: string | undefined
  json: boolean
  'allow-memory': boolean
  'by-service': boolean
}

async function run(flags: Flags): Promise<number> {
  const { before: age } = flags
  if (age === undefined) throw new FlagFault('--before is missing: name an age like 400d, or a time.')
  const { operator, reason } = readAuthor({ ...flags, reason: flags.reason ?? `older than ${age}` })
  const waitMs = readCount('wait', flags.wait, 0) * 1_000
  const isDry = flags['dry-run']
  // An empty one, as an unset variable of a shell leaves, would be the folder that this runs in.
  if ((flags.to ?? '') === '' && !isDry)
    throw new FlagFault('--to is missing: name the folder for the archives.')
  const failpoint = createFailpoint(failpointForTools())
  endWithParent(flags['by-service'])
  giveWay()
  connectPatiently()
  const client = createToolClient('archive', { ...databaseForTools('owner'), keepAlive: true })
  await client.connect()
  try {
    if (await isPooled(client))
      throw new ArchiveFault(
        'The archive holds a lock of its session and was led to a pooler: name a direct one in MIGRATE_DATABASE_URL.',
      )
    await prepareSession(client, null)
    await refuseOthers(client)
    await refuseRewound(client)
    const before = await readAge(client, age)
    const directory = resolve(flags.to ?? '.')
    const allowMemory = flags['allow-memory']
    const request = { before, directory, actor: operator, reason, failpoint, waitMs }
    if (!isDry) await openFolder(directory, !flags['by-service'], allowMemory)
    // The service hears that the folder and the database answer.
    if (flags['by-service']) process.stdout.write(`${JSON.stringify({ step: 'opened' })}\n`)
    const steps = isDry ? judgeSegments(client, before) : archive(client, request)
    let code: number = exitCodes.done
    for await (const step of steps) {
      const described = describeStep(step)
      process.stdout.write(`${flags.json ? JSON.stringify(described) : printStep(described)}\n`)
      if (step.kind === 'unfinished' || step.kind === 'refused') code = exitCodes.differs
    }
    if (flags.json) process.stdout.write(`${JSON.stringify({ step: 'end' })}\n`)
    return code
  } finally {
    await client.end()
  }
}

/**
 * A service that runs this as a process of its own may be killed: then this ends too, as if it had been killed itself.
 *
 * @param byService whether a service runs it; it may be gone already
 */
function endWithParent(byService: boolean): void {
  const end = () => process.kill(process.pid, 'SIGKILL')
  if (process.connected) process.once('disconnect', end)
  else if (byService) end()
  process.channel?.unref()
}

/** Payments go first. Where the system does not allow it, nothing is lost. */
function giveWay(): void {
  try {
    setPriority(constants.priority.PRIORITY_LOW)
  } catch {
    // A container may forbid it.
  }
}

/** Only the owner of the log can detach a segment. */
async function refuseOthers(client: pg.Client): Promise<void> {
  const owns = await ownsLog(client)
  if (owns === null) throw new ArchiveFault('The database does not hold the log: start the service once.')
  if (!owns) throw new ArchiveFault('This role does not own the log: name the owner in MIGRATE_DATABASE_URL.')
}

/** What was appended lately could not be told from what is old. */
async function refuseRewound(client: pg.Client): Promise<void> {
  const { rewoundBy } = await inspectLog(client)
  if (rewoundBy !== null)
    throw new ArchiveFault(
      `The log reaches ${rewoundBy} positions beyond the transaction ids of this cluster, as after a restore: run \`npm run epoch -- --reason R\` once, and then this again.`,
    )
}

const unitMs: Readonly<Record<string, number>> = { d: 86_400_000, h: 3_600_000, m: 60_000, s: 1_000 }

/**
 * Reads an age, or a time. What is archived can never be replayed, so an age counts by the database's clock and by that of this process:
 * one of them that has stepped forward makes nothing old.
 */
async function readAge(client: pg.Client, age: string): Promise<Date> {
  const [, count, unit = ''] = /^(\d{1,10})([dhms])$/.exec(age) ?? []
  const now = await readNow(client)
  const nowMs = Math.min(now.getTime(), Date.now())
  // Nothing is older than the clock.
  if (count !== undefined) return new Date(Math.max(0, nowMs - Number(count) * (unitMs[unit] ?? 0)))
  const text = normalizeDateTime(/^\d{4}-\d{2}-\d{2}$/.test(age) ? `${age}T00:00:00Z` : age)
  const at = new Date(text ?? NaN)
  if (text === null)
    throw new FlagFault(
      `--before must be an age like 400d, or a time like 2026-01-31T12:00:00Z, not ${JSON.stringify(age)}.`,
    )
  if (at > now) throw new FlagFault('--before lies in the future.')
  return at
}

function explain(fault: unknown): string {
  if (fault instanceof FlagFault || fault instanceof ArchiveFault) return fault.message
  return explainDatabase(fault, `Could not archive: ${reasonOf(fault)}`)
}

process.exitCode = await runCommand(recorded('archive', { usage, options, run, explain }))
