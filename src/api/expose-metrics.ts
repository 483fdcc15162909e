import { Gauge, Registry } from 'prom-client'
import { countByStatus } from '../log/read/count-by-status.ts'
import { countDecided, type DecidedCounts } from '../log/read/count-decided.ts'
import { countOpenJobs } from '../log/read/read-jobs.ts'
import { listStopped, type StoppedPartition } from '../log/read/list-stopped.ts'
import { readClockOffset } from '../log/read/read-clock-offset.ts'
import { readDestination, type DestinationStanding } from '../log/read/read-destinations.ts'
import { readPulse } from '../log/read/read-pulse.ts'
import { readServerChanges } from '../log/read/read-server-changes.ts'
import { readSizes, type Sizes } from '../log/read/read-sizes.ts'
import { countUnknown, type UnknownCounts } from '../log/read/rollups/read-standing.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { DestinationState } from '../log/write/advance-destination.ts'
import { ask } from './ask.ts'
import type { ApiDependencies } from './api-dependencies.ts'
import type { Health } from './health.ts'
import type { Answer } from './route.ts'

/**
 * Everything in Prometheus' text format: what this process counts, and what the database and the process's parts say at this
 * moment. Without a database its gauges are left out, so that nobody takes an old figure for a new one, and the rest is
 * served.
 */
export async function exposeMetrics({
  database,
  metrics,
  health,
  logger,
  destination,
  certificates,
}: ApiDependencies): Promise<Answer> {
  // A registry for each scrape: a gauge that is not set now is not in the answer.
  const registry = new Registry()
  const known = health()
  for (const { lane, inFlight, claimedAhead } of known.lanes) {
    metrics.inFlight.set({ lane }, inFlight)
    metrics.claimedAhead.set({ lane }, claimedAhead)
  }
  setHealth(registry, known)
  setCertificates(registry, certificates())
  try {
    await ask(database, async (client) => {
      setCounts(registry, await countByStatus(client))
      setDecided(registry, await countDecided(client))
      const pulse = await readPulse(client)
      const stopped = await listStopped(client)
      const server = await readServerChanges(client)
      const standing = await readDestination(client, destination.name)
      if (standing !== null) setDestination(registry, standing)
      setJobs(registry, await countOpenJobs(client))
      set(registry, 'tqp_server_changes', changesHelp, server.changes)
      set(registry, 'tqp_server_losses', lossesHelp, server.losses)
      set(registry, 'tqp_stray_outcomes', straysHelp, server.strays)
      set(registry, 'tqp_oldest_due_age_seconds', oldestDueHelp, pulse.oldestDueAgeSeconds)
      set(registry, 'tqp_watermark_age_seconds', watermarkHelp, pulse.watermarkAgeSeconds)
      set(registry, 'tqp_stopped_partitions', 'Partitions that wait for an operator.', stopped.length)
      setStopped(registry, stopped)
      set(registry, 'tqp_database_clock_offset_seconds', clockHelp, await readClockOffset(client))
    })
    // Beside the rest, because it becomes slow where the watermark was held back for hours. It is left out then.
    const unknown = await ask(database, countUnknown).catch(() => null)
    if (unknown !== null) setUnknown(registry, unknown)
    const sizes = await sizesOf(database)
    if (sizes !== null) setSizes(registry, sizes)
    setDatabaseUp(registry, 1)
  } catch (error) {
    logger.warn({ reason: reasonOf(error) }, 'scrape without the database')
    setDatabaseUp(registry, 0)
  }
  const body = (await metrics.registry.metrics()) + (await registry.metrics())
  return { status: 200, type: metrics.registry.contentType, body }
}

const sizesEveryMs = 60_000

const oldestDueHelp = 'How long the message that is longest overdue has waited; 0 if none waits.'
const changesHelp =
  'Times that the log came to another database server (a failover) or was put back to a copy.'
const lossesHelp = 'Changes of the server after which the log ended below what had been seen in it.'
const straysHelp = 'Outcomes whose payment a failover lost and Kafka has not handed over again yet.'
const oldestSegmentHelp =
  'How long ago the newest message of the oldest segment in the database was stored; 0 without one.'
const lastArchiveHelp = 'When a segment was last archived, in seconds since 1970; 0 if none ever was.'
const watermarkHelp = 'How long an open writing transaction has held back readers of the log; 0 if none does.'

const clockHelp =
  "How far PostgreSQL's clock is ahead of this instance's clock; below 0 if it is behind. Exact to half of the time that the query took."

const waitingHelp =
  'Partitions of this instance that Kafka does not hand over: without a leader, or with one that hangs or refuses.'

function setHealth(registry: Registry, { listener, consumer, logRetention }: Health): void {
  set(registry, 'tqp_listener_up', '1 while the LISTEN session of this instance is up.', listener.up ? 1 : 0)
  if (listener.ageMs !== null) {
    const help = 'Seconds since the LISTEN session of this instance last gave a sign of life.'
    set(registry, 'tqp_listener_age_seconds', help, listener.ageMs / 1_000)
  }
  set(registry, 'tqp_consumer_up', '1 while the Kafka consumer of this instance is up.', consumer.up ? 1 : 0)
  set(registry, 'tqp_waiting_partitions', waitingHelp, consumer.waiting.length)
  const heldHelp =
    '1 while something that RETAIN_LOG would archive cannot be, as this instance last found; /status says why.'
  set(registry, 'tqp_retention_waits', heldHelp, logRetention?.waitsFor == null ? 0 : 1)
}

function setCounts(registry: Registry, counts: Readonly<Record<string, number>>): void {
  const gauge = new Gauge({
    name: 'tqp_messages',
    help: 'Messages of the whole service, by status.',
    labelNames: ['status'],
    registers: [registry],
  })
  for (const [status, count] of Object.entries(counts)) gauge.set({ status }, count)
}

/** Only the stopped ones have a series, so that it ends with the stop. */
function setStopped(registry: Registry, stopped: readonly StoppedPartition[]): void {
  const since = new Gauge({
    name: 'tqp_partition_stopped_timestamp_seconds',
    help: 'Since when a stopped partition waits for an operator, in seconds since 1970. Absent for one that is not stopped.',
    labelNames: ['topic', 'partition'],
    registers: [registry],
  })
  for (const each of stopped)
    since.set({ topic: each.topic, partition: each.partition }, Date.parse(each.since) / 1_000)
}

function setUnknown(registry: Registry, { open, success, deadLetter }: UnknownCounts): void {
  const gauge = new Gauge({
    name: 'tqp_unknown_outcomes',
    help: 'Messages of the whole service that have an attempt with an unknown outcome, by what they are now: open (not ended yet), success or dead_letter.',
    labelNames: ['state'],
    registers: [registry],
  })
  for (const [state, count] of Object.entries({ open, success, dead_letter: deadLetter }))
    gauge.set({ state }, Number(count))
}

function setCertificates(registry: Registry, ends: ReturnType<ApiDependencies['certificates']>): void {
  const gauge = new Gauge({
    name: 'tqp_certificate_expiry_timestamp_seconds',
    help: 'When a certificate of the settings ends, in seconds since 1970, by side (database, kafka, downstream) and file (ca, cert). Absent for a file that is not named.',
    labelNames: ['side', 'file'],
    registers: [registry],
  })
  for (const { side, file, at } of ends) gauge.set({ side, file }, at.getTime() / 1_000)
}

const openHelp = 'Dead letters in the database that no operator has resolved.'
const byCauseHelp = 'Dead letters in the database that no operator has resolved, by cause.'
const resolvedHelp = 'Dead letters in the database that an operator has resolved.'
const onHoldHelp =
  'Messages that an operator has put on hold: they are not attempted until somebody releases them.'

function setDecided(registry: Registry, counts: DecidedCounts): void {
  set(registry, 'tqp_open_dead_letters', openHelp, counts.openDeadLetters)
  const byCause = new Gauge({
    name: 'tqp_open_dead_letters_by_cause',
    help: byCauseHelp,
    labelNames: ['cause'],
    registers: [registry],
  })
  for (const [cause, count] of counts.openByCause) byCause.set({ cause }, count)
  set(registry, 'tqp_resolved_dead_letters', resolvedHelp, counts.resolvedDeadLetters)
  set(registry, 'tqp_messages_on_hold', onHoldHelp, counts.onHold)
}

const destinationStates = { flowing: 0, held: 0, paused: 0, ramping: 0 } satisfies Record<DestinationState, 0>
const heldHelp =
  'Messages of the whole service that wait (pending and failed) while the destination does not flow; 0 while it flows.'
const rateHelp = 'Attempts a second that all instances together may start; 0 if there is no limit.'

function setDestination(registry: Registry, { name, state, held, rateLimit }: DestinationStanding): void {
  const gauge = new Gauge({
    name: 'tqp_destination_state',
    help: '1 for the state that the destination is in, 0 for the others.',
    labelNames: ['destination', 'state'],
    registers: [registry],
  })
  for (const each of Object.keys(destinationStates))
    gauge.set({ destination: name, state: each }, each === state ? 1 : 0)
  set(registry, 'tqp_held_messages', heldHelp, Number(held))
  set(registry, 'tqp_rate_limit', rateHelp, rateLimit ?? 0)
}

const openJobStates = ['running', 'waiting', 'paused', 'stopped'] as const

function setJobs(registry: Registry, counts: Awaited<ReturnType<typeof countOpenJobs>>): void {
  const gauge = new Gauge({
    name: 'tqp_replay_jobs',
    help: 'Replay jobs of the whole service that have not ended, by state: running, waiting (for the destination), paused or stopped (by itself).',
    labelNames: ['state'],
    registers: [registry],
  })
  for (const state of openJobStates) gauge.set({ state }, counts[state] ?? 0)
}

type SizesRead = { at: number; sizes: Promise<Sizes | null> }
/** What was read last, by the pool: a process has one. */
const sizesRead = new WeakMap<ApiDependencies['database'], SizesRead>()

/**
 * Reads them once a minute, however many scrape. With 200 segments that took 0.2 to 0.3 s in a new session, and 0.05 to 0.15 s in one that
 * had read them before (PostgreSQL 18 on two shared cores). Null if it failed: then they are left out for that minute, and the rest is served.
 */
async function sizesOf(database: ApiDependencies['database']): Promise<Sizes | null> {
  const known = sizesRead.get(database)
  if (known !== undefined && performance.now() - known.at < sizesEveryMs) return known.sizes
  const sizes = ask(database, readSizes).catch(() => null)
  sizesRead.set(database, { at: performance.now(), sizes })
  return sizes
}

function setSizes(registry: Registry, sizes: Sizes): void {
  const bytes = new Gauge({
    name: 'tqp_table_bytes',
    help: 'Bytes on disk by table, with indexes and TOAST. Partitions count for their table.',
    labelNames: ['table'],
    registers: [registry],
  })
  for (const { table, bytes: size } of sizes.tables) bytes.set({ table }, size)
  set(registry, 'tqp_segments', 'Segments of the log that are in the database.', sizes.segments)
  set(registry, 'tqp_oldest_segment_age_seconds', oldestSegmentHelp, sizes.oldestSegmentAgeSeconds)
  set(registry, 'tqp_last_archive_timestamp_seconds', lastArchiveHelp, sizes.lastArchiveAt)
}

function setDatabaseUp(registry: Registry, up: 0 | 1): void {
  set(registry, 'tqp_database_up', '1 if the database answered this scrape.', up)
}

function set(registry: Registry, name: string, help: string, value: number): void {
  new Gauge({ name, help, registers: [registry] }).set(value)
}
