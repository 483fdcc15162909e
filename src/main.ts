import { once } from 'node:events'
import { ulid } from 'ulid'
import type { TokenFile } from './api/followed-tokens.ts'
import type { Health } from './api/health.ts'
import { serve } from './api/serve.ts'
import { banner } from './banner.ts'
import { exitCodes, runCommand } from './commands/run-command.ts'
import { configure, readEnvironment, type Config } from './config.ts'
import { parseTokenFile, readTokenFile } from './config/read-tokens.ts'
import { startEmbedded, type Embedded } from './embedded/start-embedded.ts'
import { newHealth } from './ingest/health.ts'
import { classifyFault } from './log/server/fault.ts'
import { ServerWatch } from './log/server/server-watch.ts'
import { longestSchedule } from './message/backoff.ts'
import type { InstanceId } from './message/message.ts'
import { createMetrics, type Metrics } from './metrics.ts'
import { prepareDatabase, StartWaits } from './prepare-database.ts'
import { attend } from './runtime/attend.ts'
import { connectPatiently } from './runtime/connect-patiently.ts'
import { readDescriptorLimit } from './runtime/read-descriptor-limit.ts'
import { explainConnection } from './runtime/explain-connection.ts'
import { createFailpoint } from './runtime/failpoint.ts'
import { Hint } from './runtime/hint.ts'
import { createLogger, type Logger } from './runtime/logger.ts'
import { StartRefused } from './runtime/migrate.ts'
import { createPool } from './runtime/create-pool.ts'
import { reasonOf } from './runtime/reason-of.ts'
import { readRelease } from './runtime/read-release.ts'
import { tlsOptions, type Tls } from './runtime/tls.ts'
import { wait } from './runtime/wait.ts'
import { late, within } from './runtime/within.ts'
import { withoutSecrets } from './runtime/without-secrets.ts'
import { startService, type Service, type ServiceOptions } from './service.ts'
import type { Tracing } from './trace/tracing.ts'

const usage = `Usage: npm start

Runs the service until SIGTERM, SIGINT or SIGHUP. It also starts an embedded PostgreSQL, development broker and mock processor, each
unless a setting names another one. Settings come from the environment or from .env; .env.example lists them with their defaults.

  --help  this text

Ends with 0 after a drain, 1 if the start was refused, 2 if it could not run.
`

// On SIGTERM open requests get this much time. Everything else must fit into the two seconds that remain of
// ten.
const drainGraceMs = 8_000
const stopAfterMs = 9_000
const retryStartMs = 1_000
// A try that hangs is reported this often. A wait for a lock is given up sooner; a long migration or a frozen
// server is not.
const tellEveryMs = 10_000
// For ingest and for the looks and settlements of two lanes, each on a connection of its own, with some to
// spare.
const poolMax = 10
const apiPoolMax = 4
// For the connections to the database and the brokers, the API's callers and what Node itself has open.
const descriptorsBeside = 150

/** One run of the process, from start to end. */
type Run = {
  options: ServiceOptions
  service: Service | null
  /** What the start waits for; null once the service runs. */
  startingUp: string | null
}

const launchedAt = new Date()

async function run(): Promise<number> {
  // If nobody reads stderr, the service still runs.
  process.stderr.on('error', () => undefined)
  const read = configure(readEnvironment())
  if ('faults' in read) {
    tell(read.faults)
    return exitCodes.differs
  }
  connectPatiently()
  const { config } = read
  const stopping = new AbortController()
  // The handlers stay for the whole run: npm passes Ctrl-C on to a process that already got it from the
  // terminal, and a shell may do the same when its terminal closes. A second signal must not kill a process
  // that is draining.
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => stopping.abort())
  const metrics = createMetrics(readRelease())
  const { logger, exit } = createLogger(config.logLevel, () => metrics.logLinesDropped.inc())
  try {
    const embedded = await startParts(config, logger)
    try {
      await live(await prepare(config, embedded, metrics, logger), embedded, stopping.signal)
    } finally {
      // Also if the start fails: a taken port must not leave a database behind.
      await embedded.stop()
    }
    logger.info('stopped')
  } catch (error) {
    tell(reasonsOf(error))
    return exit(exitCodes.differs)
  }
  return exit(exitCodes.done)
}

/** Serves, starts, and drains when the signal aborts. */
async function live(run: Run, embedded: Embedded, signal: AbortSignal): Promise<void> {
  const { config, connection, server, instance, release, metrics, logger } = run.options
  const api = await serve(
    { host: config.api.host, port: config.api.port },
    {
      database: createPool(connection, logger, apiPoolMax, server.verify),
      metrics,
      logger,
      instance,
      release,
      health: () => health(run, signal.aborted),
      access: config.api,
      tokenFile: tokenFileOf(config.api.tokensFile),
      reasonsRequired: config.api.reasonsRequired,
      keyWindow: { keyWindowMs: config.keyWindowMs, leaseMs: config.lanes.leaseMs },
      destination: { name: config.destination, url: withoutSecrets(run.options.downstreamUrl) },
      certificates: () => tlsOf(config).flatMap(([side, tls]) => tls.ends().map((end) => ({ side, ...end }))),
      onDestination: (wake) => run.options.destinationChanges.on(wake),
      onJobs: (wake) => run.options.jobChanges.on(wake),
      onEvents: (wake) => run.options.events.on(wake),
    },
  )
  // In production nobody watches the terminal, and programs that read the log expect JSON.
  if (config.production) logger.info({ host: config.api.host, port: api.port }, 'serving')
  else process.stderr.write(banner(config, api.port, embedded))

  const broughtUp = await bringUp(run, signal)
  if (broughtUp !== null) {
    run.service = startService({ ...run.options, ...broughtUp })
    logger.info({ instance, release }, 'started')
    await aborted(signal)
  }
  logger.info({ instance }, 'draining')
  if ((await within(stop(run), stopAfterMs)) === late) logger.error('stopped before the drain ended')
  await api.close()
}

function tokenFileOf(path: string | null): TokenFile | null {
  return path === null ? null : { text: () => readTokenFile(path), parse: parseTokenFile }
}

async function startParts(config: Config, logger: Logger): Promise<Embedded> {
  return startEmbedded({
    postgres: config.database.url === null,
    broker: config.kafka.brokers === null,
    mock: config.downstream.url === null,
    dataDir: config.dataDir,
    topic: config.kafka.topic,
    logger,
  })
}

async function prepare(config: Config, embedded: Embedded, metrics: Metrics, logger: Logger): Promise<Run> {
  const release = readRelease()
  const connectionString = config.database.url ?? embedded.databaseUrl
  const connection = { connectionString, ssl: config.database.ssl && tlsOptions(config.database.ssl) }
  tellOfTls(config, logger)
  tellOfDescriptors(config, logger)
  tellOfKeyWindow(config, logger)
  if (config.unusedProxies.length > 0)
    logger.warn(
      { settings: config.unusedProxies },
      'proxy settings are not used: payments go straight to DOWNSTREAM_URL',
    )
  const instance = ulid() as InstanceId
  const serverChanges = new Hint()
  const downstreamUrl = new URL(config.downstream.url ?? embedded.downstreamUrl)
  const server = new ServerWatch(instance, logger, () => serverChanges.give())
  const options: ServiceOptions = {
    config,
    connection,
    brokers: config.kafka.brokers ?? [embedded.brokers],
    downstreamUrl,
    database: createPool(connection, logger, poolMax, server.verify),
    server,
    serverChanges,
    instance,
    release,
    metrics,
    logger,
    failpoint: createFailpoint(config.failpoint),
    tracing: await trace(config, { instance, release, downstreamUrl, metrics, logger }),
    events: new Hint(),
    destinationChanges: new Hint(),
    jobChanges: new Hint(),
  }
  return {
    options,
    service: null,
    startingUp: 'PostgreSQL',
  }
}

/** Null if traces are off; then nothing that knows OpenTelemetry is loaded. */
async function trace(
  { tracing, kafka, downstream }: Config,
  of: Pick<ServiceOptions, 'instance' | 'release' | 'downstreamUrl' | 'metrics' | 'logger'>,
): Promise<Tracing | null> {
  if (tracing === null) return null
  const { startTracing } = await import('./trace/start-tracing.ts')
  of.logger.info({ url: withoutSecrets(new URL(tracing.url)), sampler: tracing.sampler }, 'traces are sent')
  const statusUrl = downstream.inquiry?.url ?? null
  return startTracing({ ...tracing, ...of, groupId: kafka.groupId, statusUrl })
}

/** Warns if the limit of file descriptors is too low. Node has already raised it as far as it may. */
function tellOfDescriptors({ lanes }: Config, logger: Logger): void {
  const limit = readDescriptorLimit()
  const wanted = lanes.fresh + lanes.retry + descriptorsBeside
  if (limit === null || limit >= wanted) return
  logger.warn(
    { limit, wanted },
    'few file descriptors: attempts may fail for want of them and the API be out of reach; raise the limit (ulimit -n), or ' +
      'lower MAX_CONCURRENT',
  )
}

/** Warns if a message may still be retried when the processor has forgotten its key. */
function tellOfKeyWindow({ retry, lanes, keyWindowMs }: Config, logger: Logger): void {
  const longestMs = longestSchedule(retry, lanes.leaseMs)
  if (keyWindowMs === null || longestMs <= keyWindowMs) return
  logger.warn(
    { key_window_s: keyWindowMs / 1_000, retries_s: Math.round(longestMs / 1_000) },
    'retries reach past KEY_WINDOW: a message in doubt is not sent again that late',
  )
}

/** Logs when replaced TLS files are in use, and when they cannot be used. */
function tellOfTls(config: Config, logger: Logger): void {
  for (const [side, tls] of tlsOf(config)) {
    tls.onChange = (reason) => {
      if (reason === null) logger.info({ side }, 'TLS files read again')
      else logger.warn({ side, reason }, 'new TLS files cannot be used; the old ones stay in use')
    }
  }
}

/** The files that secure each side, where it is secured. */
function tlsOf({ database, kafka, downstream }: Config): [side: string, Tls][] {
  const sides = { database: database.ssl, kafka: kafka.tls, downstream: downstream.tls }
  return Object.entries(sides).flatMap(([side, tls]) => (tls ? [[side, tls] satisfies [string, Tls]] : []))
}

/**
 * Waits for PostgreSQL without limit, with one log line a try, and prepares it for the service.
 *
 * @returns whether it had to wait; null if the signal aborted first
 */
async function bringUp(run: Run, signal: AbortSignal): Promise<{ afterOutage: boolean } | null> {
  const tell = (reason: string) => run.options.logger.warn({ reason }, 'waiting for PostgreSQL')
  let afterOutage = false
  while (!signal.aborted) {
    try {
      const preparing = prepareDatabase(run.options, (step) => (run.startingUp = step))
      const tellHang = (ms: number) => tell(`${run.startingUp}: no answer for ${Math.round(ms / 1_000)} s`)
      if (!(await attend(preparing, tellEveryMs, tellHang, signal))) return null
      run.startingUp = null
      return { afterOutage }
    } catch (error) {
      // A migration that contradicts the log's content will be refused again.
      if (error instanceof StartRefused || ['data', 'broken'].includes(classifyFault(error))) throw error
      afterOutage = true
      if (error instanceof StartWaits) run.startingUp = `PostgreSQL: ${error.message}`
      tell(explainConnection(error))
      await wait(retryStartMs, signal)
    }
  }
  return null
}

async function stop({ service, options }: Run): Promise<void> {
  // An interrupted start may wait for an answer for ever. It has begun nothing that must be ended.
  if (service === null) return
  await service.drain(drainGraceMs)
  await options.database.end()
}

function health({ service, startingUp, options }: Run, draining: boolean): Health {
  const { lanes } = options.config
  return {
    listener: {
      up: service?.listener.up ?? false,
      ageMs: service?.listener.ageMs() ?? null,
      lastError: service?.listener.lastError() ?? null,
    },
    consumer: service?.consumer.health() ?? {
      ...newHealth(),
      up: false,
      topic: options.config.kafka.topic,
      connection: {
        isConnected: false,
        since: launchedAt,
        reason: startingUp && `waiting for ${startingUp}`,
      },
    },
    peers: service?.peers ?? { heard: new Map(), mayLive: () => true },
    lanes: service?.lanes() ?? [],
    destination: service?.destination() ?? { room: 0, limit: lanes.fresh + lanes.retry },
    logRetention: service?.logRetention() ?? null,
    draining,
    starting: startingUp,
  }
}

async function aborted(signal: AbortSignal): Promise<void> {
  // The signal may have aborted while the schema was being migrated.
  if (!signal.aborted) await once(signal, 'abort')
}

/** What refuses a start, or several embedded parts that cannot start, has a sentence a line. */
function reasonsOf(error: unknown): string[] {
  const hasLines = error instanceof StartRefused || (error instanceof AggregateError && error.message !== '')
  return hasLines ? error.message.split('\n') : [reasonOf(error)]
}

/** Prints one sentence for each fault, without a stack: an operator can fix them. */
function tell(faults: readonly string[]): void {
  for (const fault of faults) process.stderr.write(`${fault}\n`)
}

process.exitCode = await runCommand({ usage, options: {}, run })
