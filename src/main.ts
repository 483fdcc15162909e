import { once } from 'node:events'
import { ulid } from 'ulid'
import type { Health } from './api/health.ts'
import { serve } from './api/serve.ts'
import { banner } from './banner.ts'
import { configure, readEnvironment, type Config } from './config.ts'
import { startEmbedded, type Embedded } from './embedded/start-embedded.ts'
import { classifyFault } from './log/fault.ts'
import { refuseStandby } from './log/refuse-standby.ts'
import type { InstanceId } from './message/message.ts'
import { createMetrics } from './metrics.ts'
import { prepareDatabase } from './prepare-database.ts'
import { explainConnection } from './runtime/explain-connection.ts'
import { createFailpoint } from './runtime/failpoint.ts'
import { Hint } from './runtime/hint.ts'
import { createLogger, type Logger } from './runtime/logger.ts'
import { StartRefused } from './runtime/migrate.ts'
import { createPool } from './runtime/pool.ts'
import { readRelease } from './runtime/release.ts'
import { wait } from './runtime/wait.ts'
import { startService, type Service, type ServiceOptions } from './service.ts'

// Open requests are left this long on SIGTERM; all else has to fit in the two seconds that remain of ten.
const drainGraceMs = 8_000
const stopAfterMs = 9_000
const retryStartMs = 1_000
// Ingest, the looks and the settlements of two lanes, each with a connection of its own, and some to spare.
const poolMax = 10
const apiPoolMax = 4

/** One run of the process, from its first line to its last. */
type Run = {
  options: ServiceOptions
  service: Service | null
  /** What start-up waits for; null once the service is at work. */
  startingUp: string | null
}

async function main(): Promise<void> {
  const read = configure(readEnvironment())
  if ('faults' in read) return fail(read.faults)
  const { config } = read
  const stopping = new AbortController()
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stopping.abort())
  const { logger, flush } = createLogger(config.logLevel)
  const embedded = await startParts(config, logger)
  try {
    await live(prepare(config, embedded, logger), embedded, stopping.signal)
  } finally {
    // Also when the start fails: a port that is taken must not leave a database behind.
    await embedded.stop()
  }
  logger.info('stopped')
  flush()
  process.exit(0)
}

/** Serves, starts, and drains when the signal aborts. */
async function live(run: Run, embedded: Embedded, signal: AbortSignal): Promise<void> {
  const { config, connection, instance, release, metrics, logger } = run.options
  const api = await serve(
    { host: config.api.host, port: config.api.port },
    {
      database: createPool(connection, logger, apiPoolMax, refuseStandby),
      metrics,
      logger,
      instance,
      release,
      health: () => health(run, signal.aborted),
      access: config.api,
      onEvents: (wake) => run.options.events.on(wake),
    },
  )
  process.stderr.write(banner(config, api.port, embedded))

  if (await bringUp(run, signal)) {
    run.service = startService(run.options)
    logger.info({ instance, release }, 'started')
    await aborted(signal)
  }
  logger.info({ instance }, 'draining')
  const deadline = new AbortController()
  await Promise.race([
    stop(run).finally(() => deadline.abort()),
    wait(stopAfterMs, deadline.signal).then((late) => late && logger.error('stopped before all was drained')),
  ])
  await api.close()
}

async function startParts(config: Config, logger: Logger): Promise<Embedded> {
  return startEmbedded({
    postgres: config.database.url === null,
    broker: config.kafka.brokers === null,
    mock: config.downstream.url === null,
    dataDir: config.dataDir,
    logger,
  })
}

function prepare(config: Config, embedded: Embedded, logger: Logger): Run {
  const release = readRelease()
  const connectionString = config.database.url ?? embedded.databaseUrl
  const connection = { connectionString, ssl: config.database.ssl }
  const options: ServiceOptions = {
    config,
    connection,
    brokers: config.kafka.brokers ?? [embedded.brokers],
    downstreamUrl: new URL(config.downstream.url ?? embedded.downstreamUrl),
    database: createPool(connection, logger, poolMax, refuseStandby),
    instance: ulid() as InstanceId,
    release,
    metrics: createMetrics(release),
    logger,
    failpoint: createFailpoint(config.failpoint),
    events: new Hint(),
  }
  return {
    options,
    service: null,
    startingUp: 'PostgreSQL',
  }
}

/** Waits for PostgreSQL for ever, one line a try, and has it ready for the service. Says whether it came to that. */
async function bringUp(run: Run, signal: AbortSignal): Promise<boolean> {
  const { logger } = run.options
  while (!signal.aborted) {
    try {
      await prepareDatabase(run.options)
      run.startingUp = null
      return true
    } catch (error) {
      if (error instanceof StartRefused || classifyFault(error) === 'data') throw error
      logger.warn({ reason: explainConnection(error) }, 'waiting for PostgreSQL')
      await wait(retryStartMs, signal)
    }
  }
  return false
}

async function stop(run: Run): Promise<void> {
  await run.service?.drain(drainGraceMs)
  await run.options.database.end()
}

function health({ service, startingUp }: Run, draining: boolean): Health {
  return {
    listener: {
      up: service?.listener.up ?? false,
      ageMs: service?.listener.ageMs() ?? null,
      lastError: service?.listener.lastError() ?? null,
    },
    consumer: service?.consumer.health() ?? {
      state: 'starting',
      up: false,
      lastError: null,
      assigned: [],
      waiting: [],
      coordinatorError: null,
    },
    lanes: service?.lanes() ?? [],
    draining,
    starting: startingUp,
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  // It may have come while the schema was brought up.
  if (!signal.aborted) await once(signal, 'abort')
}

/** One sentence a fault, and nothing else: no stack for what an operator can mend. */
function fail(faults: readonly string[]): never {
  for (const fault of faults) process.stderr.write(`${fault}\n`)
  process.exit(1)
}

main().catch((error: unknown) => fail([error instanceof Error ? error.message : String(error)]))
