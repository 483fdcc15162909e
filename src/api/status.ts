import type { Pool } from 'pg'
import { countDecided, type DecidedCounts } from '../log/read/count-decided.ts'
import { findUnconfirmed } from '../log/read/find-unconfirmed.ts'
import { listStopped } from '../log/read/list-stopped.ts'
import { readDestination, type DestinationStanding } from '../log/read/read-destinations.ts'
import { readServerChanges } from '../log/read/read-server-changes.ts'
import { inspectGround } from '../log/server/inspect-ground.ts'
import { explainQueue, relieveQueue, usageHigh } from '../log/server/relieve-queue.ts'
import { printTime } from '../runtime/date-time.ts'
import { ask } from './ask.ts'
import type { ApiDependencies } from './api-dependencies.ts'
import type { Health } from './health.ts'
import { mask } from './mask.ts'
import { json, type Answer } from './route.ts'

const checkMsMax = 2_000

/** Whether the service does its work, and what is known of each of its parts. */
export async function status(dependencies: ApiDependencies): Promise<Answer> {
  const { database, instance, release } = dependencies
  const health = dependencies.health()
  // Asked together, so that a database that hangs costs one bound and not several.
  const [standing, databaseFaults, server, waiting] = await Promise.all([
    readStanding(dependencies),
    findDatabaseFaults(dependencies, health),
    ask(database, readServerChanges, checkMsMax).catch(() => null),
    readWaiting(dependencies).catch(() => null),
  ])
  const faults = [...findFaults(health, standing), ...databaseFaults]
  return json(faults.length === 0 ? 200 : 503, {
    status: faults.length === 0 ? 'healthy' : 'unhealthy',
    database: standing.fault === null ? 'connected' : 'disconnected',
    // The process's own clock, so that there is an answer when there is no database.
    timestamp: printTime(new Date()),
    ...(faults.length === 0 ? {} : { detail: faults.join(' ') }),
    instance,
    release,
    database_error: standing.fault,
    ...describe(health),
    // While it is not null the old tokens are in use.
    tokens_fault: mask(dependencies.tokensFault?.() ?? null),
    // Null where nobody can say, or where the server never changed.
    server_change: server?.last ?? null,
    stray_outcomes: server?.strays ?? null,
    // Null where nobody can say. A stopped partition waits for an operator; the service as a whole is well.
    stopped: waiting?.stopped ?? null,
    // Null where nobody can say. While payments do not flow, the service as a whole is well too.
    destination: waiting === null ? null : describeDestination(waiting.destination),
    // Null where nobody can say. What waits for a decision is no fault of the service either.
    ...describeDecided(waiting?.decided ?? null),
  })
}

/** Whether this instance may be sent work: exactly when /status is healthy. */
export async function ready(dependencies: ApiDependencies): Promise<Answer> {
  const health = dependencies.health()
  const [standing, databaseFaults] = await Promise.all([
    readStanding(dependencies),
    findDatabaseFaults(dependencies, health),
  ])
  const faults = [...findFaults(health, standing), ...databaseFaults]
  return faults.length === 0
    ? json(200, { status: 'ready' })
    : json(503, { status: 'not ready', detail: faults.join(' ') })
}

/** Says only that the process answers: whoever restarts it must not do so because a database is down. */
export function alive(): Answer {
  return json(200, { status: 'alive' })
}

/** What the database says; and that it answers at all. */
type Standing = {
  /** Why it does not answer; null if it does. */
  readonly fault: string | null
  /** For how many seconds a commit has waited for a synchronous standby; null if none has for long. */
  readonly unconfirmedSeconds: number | null
}

async function readStanding({ database }: ApiDependencies): Promise<Standing> {
  try {
    return { fault: null, unconfirmedSeconds: await ask(database, findUnconfirmed, checkMsMax) }
  } catch (error) {
    const fault = mask(error instanceof Error && error.message !== '' ? error.message : 'no answer')
    return { fault, unconfirmedSeconds: null }
  }
}

/** What waits for an operator, or for the processor. */
async function readWaiting({ database, destination }: ApiDependencies) {
  return ask(
    database,
    async (client) => ({
      stopped: await listStopped(client),
      destination: await readDestination(client, destination.name),
      decided: await countDecided(client),
    }),
    checkMsMax,
  )
}

function describeDestination(standing: DestinationStanding | null) {
  if (standing === null) return null
  const { name, state, since, cause, reason, until, nextProbeAt, rateLimit, throttledRate, notBefore } =
    standing
  // A reason may quote what the processor or an operator wrote, and /status is open to all.
  return {
    name,
    state,
    since,
    cause,
    reason: mask(reason),
    until,
    next_probe_at: nextProbeAt,
    rate_limit: rateLimit,
    throttled_rate: throttledRate,
    not_before: notBefore,
  }
}

/** What waits for an operator's decision, and what an operator keeps from being sent. */
function describeDecided(decided: DecidedCounts | null) {
  return {
    dead_letters: decided && { open: decided.openDeadLetters, resolved: decided.resolvedDeadLetters },
    on_hold: decided && decided.onHold,
  }
}

/** What is wrong in a database that answers. Empty if it does not answer: `findFaults` says so already. */
async function findDatabaseFaults({ database }: ApiDependencies, health: Health): Promise<string[]> {
  if (health.starting !== null) return []
  const nothing = (): string[] => []
  const [ground, queue] = await Promise.all([
    ask(database, inspectGround, checkMsMax).catch(nothing),
    // A full queue of notifications takes the listener with it.
    health.listener.up ? [] : ask(database, findFullQueue, checkMsMax).catch(nothing),
  ])
  return [...ground, ...queue]
}

async function findFullQueue(client: Pick<Pool, 'query'>): Promise<string[]> {
  const queue = await relieveQueue(client)
  return queue.usage < usageHigh ? [] : [mask(explainQueue(queue))]
}

function findFaults(health: Health, { fault, unconfirmedSeconds }: Standing): string[] {
  const faults: string[] = []
  if (health.starting !== null) faults.push(`Starting: waiting for ${mask(health.starting)}.`)
  if (health.draining) faults.push('Draining: no more work is taken.')
  if (fault !== null) faults.push('The database does not answer.')
  if (unconfirmedSeconds !== null)
    faults.push(
      `Commits wait for a synchronous standby that does not confirm, one for ${Math.floor(unconfirmedSeconds)} s.`,
    )
  if (!health.listener.up) faults.push(explainListener(health.listener))
  if (!health.consumer.up) faults.push('The consumer is down.')
  if (health.consumer.topicMissing)
    faults.push('Kafka has no such topic as KAFKA_TOPIC names: correct it, or create the topic.')
  else if (health.consumer.up && readsNothing(health.consumer))
    faults.push('Kafka hands over none of the partitions of this instance.')
  const { unread } = health.consumer
  if (unread.length > 0)
    faults.push(`No member of the consumer group reads ${namePartitions(unread)}; the log says who leads it.`)
  return faults
}

function explainListener({ lastError }: Health['listener']): string {
  return lastError === null ? 'The listener is down.' : `The listener is down: ${mask(lastError)}.`
}

/** One partition that waits for Kafka is like one that is stopped; without any, no work comes. */
function readsNothing({ assigned, waiting }: Health['consumer']): boolean {
  return assigned.length > 0 && waiting.length === assigned.length
}

function namePartitions(partitions: readonly number[]): string {
  const [last, ...others] = partitions.toReversed()
  return others.length === 0
    ? `partition ${last}`
    : `partitions ${others.toReversed().join(', ')} and ${last}`
}

function describe({ listener, consumer, lanes, logRetention, draining, starting }: Health) {
  return {
    listener: { up: listener.up, age_ms: listener.ageMs, last_error: mask(listener.lastError) },
    consumer: {
      up: consumer.up,
      state: consumer.state,
      topic_missing: consumer.topicMissing,
      assigned: consumer.assigned,
      unread: consumer.unread,
      waiting: consumer.waiting.map(({ partition, reason, waitingMs }) => ({
        partition,
        reason: mask(reason),
        waiting_ms: waitingMs,
      })),
      coordinator_error: mask(consumer.coordinatorError),
      connected: consumer.connection.isConnected,
      since: printTime(consumer.connection.since),
      fetched_at: printTime(consumer.fetchedAt),
      heartbeat_at: printTime(consumer.heartbeatAt),
      last_error: mask(consumer.lastError),
    },
    lanes: lanes.map(({ lane, inFlight, claimedAhead, limit, lastError }) => ({
      lane,
      in_flight: inFlight,
      claimed_ahead: claimedAhead,
      limit,
      last_error: mask(lastError),
    })),
    // Null without RETAIN_LOG. What waits is no fault of the service: payments go on.
    log_retention: logRetention && {
      last_run_at: printTime(logRetention.lastRunAt),
      waits_for: mask(logRetention.waitsFor),
    },
    draining,
    starting: mask(starting),
  }
}
