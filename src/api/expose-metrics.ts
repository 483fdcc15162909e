import { Gauge, Registry } from 'prom-client'
import { countByStatus } from '../log/read/count-by-status.ts'
import { listStopped } from '../log/read/list-stopped.ts'
import { readPulse } from '../log/read/read-pulse.ts'
import { readServerChanges } from '../log/read/read-server-changes.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { ask } from './ask.ts'
import type { ApiDependencies } from './dependencies.ts'
import type { Health } from './health.ts'
import type { Answer } from './route.ts'

/**
 * Everything in Prometheus' text format: what this process counts, and what the database and the process's parts say at this
 * moment. Without a database its gauges are left out, so that nobody takes an old figure for a new one, and the rest is
 * served.
 */
export async function exposeMetrics({ database, metrics, health, logger }: ApiDependencies): Promise<Answer> {
  // A registry for each scrape: a gauge that is not set now is not in the answer.
  const registry = new Registry()
  const known = health()
  for (const { lane, inFlight } of known.lanes) metrics.inFlight.set({ lane }, inFlight)
  setHealth(registry, known)
  try {
    await ask(database, async (client) => {
      setCounts(registry, await countByStatus(client))
      const pulse = await readPulse(client)
      const stopped = await listStopped(client)
      const server = await readServerChanges(client)
      set(registry, 'tqp_server_changes', changesHelp, server.changes)
      set(registry, 'tqp_server_losses', lossesHelp, server.losses)
      set(registry, 'tqp_stray_outcomes', straysHelp, server.strays)
      set(registry, 'tqp_oldest_due_age_seconds', oldestDueHelp, pulse.oldestDueAgeSeconds)
      set(registry, 'tqp_watermark_age_seconds', watermarkHelp, pulse.watermarkAgeSeconds)
      set(registry, 'tqp_stopped_partitions', 'Partitions that wait for an operator.', stopped.length)
    })
    setDatabaseUp(registry, 1)
  } catch (error) {
    logger.warn({ reason: reasonOf(error) }, 'scrape without the database')
    setDatabaseUp(registry, 0)
  }
  const body = (await metrics.registry.metrics()) + (await registry.metrics())
  return { status: 200, type: metrics.registry.contentType, body }
}

const oldestDueHelp = 'How long the message that is longest overdue has waited; 0 if none waits.'
const changesHelp =
  'Times that the log came to another database server (a failover) or was put back to a copy.'
const lossesHelp = 'Those of them after which the log ended below what had been seen in it.'
const straysHelp =
  'Outcomes of attempts that such a loss took, whose payment Kafka has not handed over again yet.'
const watermarkHelp = 'How long an open writing transaction has held back readers of the log; 0 if none does.'

const waitingHelp =
  'Partitions of this instance that Kafka does not hand over: without a leader, or with one that hangs or refuses.'

function setHealth(registry: Registry, { listener, consumer }: Health): void {
  set(registry, 'tqp_listener_up', '1 while the LISTEN session of this instance is up.', listener.up ? 1 : 0)
  if (listener.ageMs !== null) {
    const help = 'Since the LISTEN session of this instance last gave a sign of life.'
    set(registry, 'tqp_listener_age_seconds', help, listener.ageMs / 1_000)
  }
  set(registry, 'tqp_consumer_up', '1 while the Kafka consumer of this instance is up.', consumer.up ? 1 : 0)
  set(registry, 'tqp_waiting_partitions', waitingHelp, consumer.waiting.length)
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

function setDatabaseUp(registry: Registry, up: 0 | 1): void {
  set(registry, 'tqp_database_up', '1 if the database answered this scrape.', up)
}

function set(registry: Registry, name: string, help: string, value: number): void {
  new Gauge({ name, help, registers: [registry] }).set(value)
}
