import { listStopped, type StoppedPartition } from '../log/list-stopped.ts'
import { ping } from '../log/ping.ts'
import { ask } from './ask.ts'
import type { ApiDependencies } from './dependencies.ts'
import type { Health } from './health.ts'
import { mask } from './mask.ts'
import { json, type Answer } from './route.ts'

const checkMsMax = 2_000

/** Whether the service does its work, and what is known of each of its parts. */
export async function status(dependencies: ApiDependencies): Promise<Answer> {
  const { database, instance, release } = dependencies
  // Asked together, so that a database that hangs costs one bound and not two.
  const [databaseFault, stopped] = await Promise.all([
    findDatabaseFault(dependencies),
    ask(database, listStopped, checkMsMax).catch((): StoppedPartition[] | null => null),
  ])
  const health = dependencies.health()
  const faults = findFaults(health, databaseFault)
  return json(faults.length === 0 ? 200 : 503, {
    status: faults.length === 0 ? 'healthy' : 'unhealthy',
    database: databaseFault === null ? 'connected' : 'disconnected',
    timestamp: now(),
    ...(faults.length === 0 ? {} : { detail: faults.join(' ') }),
    instance,
    release,
    database_error: databaseFault,
    ...describe(health),
    // Null where nobody can say. A stopped partition waits for an operator; the service as a whole is well.
    stopped,
  })
}

/** Whether this instance may be sent work: exactly when /status is healthy. */
export async function ready(dependencies: ApiDependencies): Promise<Answer> {
  const faults = findFaults(dependencies.health(), await findDatabaseFault(dependencies))
  return faults.length === 0
    ? json(200, { status: 'ready' })
    : json(503, { status: 'not ready', detail: faults.join(' ') })
}

/** Says only that the process answers: whoever restarts it must not do so because a database is down. */
export function alive(): Answer {
  return json(200, { status: 'alive' })
}

async function findDatabaseFault({ database }: ApiDependencies): Promise<string | null> {
  try {
    await ask(database, ping, checkMsMax)
    return null
  } catch (error) {
    return mask(error instanceof Error && error.message !== '' ? error.message : 'no answer')
  }
}

function findFaults(health: Health, databaseFault: string | null): string[] {
  const faults: string[] = []
  if (health.starting !== null) faults.push(`Starting: waiting for ${mask(health.starting)}.`)
  if (health.draining) faults.push('Draining: no more work is taken.')
  if (databaseFault !== null) faults.push('The database does not answer.')
  if (!health.listener.up) faults.push('The listener is down.')
  if (!health.consumer.up) faults.push('The consumer is down.')
  else if (readsNothing(health.consumer))
    faults.push('Kafka hands over none of the partitions of this instance.')
  return faults
}

/** One partition that waits for Kafka is like one that is stopped; without any, no work comes. */
function readsNothing({ assigned, waiting }: Health['consumer']): boolean {
  return assigned.length > 0 && waiting.length === assigned.length
}

function describe({ listener, consumer, lanes, draining, starting }: Health) {
  return {
    listener: { up: listener.up, age_ms: listener.ageMs, last_error: mask(listener.lastError) },
    consumer: {
      up: consumer.up,
      state: consumer.state,
      assigned: consumer.assigned,
      waiting: consumer.waiting.map(({ partition, reason, waitingMs }) => ({
        partition,
        reason: mask(reason),
        waiting_ms: waitingMs,
      })),
      coordinator_error: mask(consumer.coordinatorError),
      last_error: mask(consumer.lastError),
    },
    lanes: lanes.map(({ lane, inFlight, limit, lastError }) => ({
      lane,
      in_flight: inFlight,
      limit,
      last_error: mask(lastError),
    })),
    draining,
    starting: mask(starting),
  }
}

/** The process's own clock, in the six digits that all times of the API have. */
function now(): string {
  return new Date().toISOString().replace('Z', '000Z')
}
