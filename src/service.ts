import { randomBytes } from 'node:crypto'
import type pg from 'pg'
import { RetainLog } from './archive/retain-log.ts'
import { readEnvironment, type Config } from './config.ts'
import { chooseOwnerUrl } from './config/read-database.ts'
import { createInquirer } from './deliver/inquire.ts'
import { createDeliverer } from './deliver/create-deliverer.ts'
import { dispatch } from './dispatch/dispatch.ts'
import { mostAhead } from './dispatch/wire.ts'
import { consume } from './ingest/consume.ts'
import type { ServerWatch } from './log/server/server-watch.ts'
import { notify } from './log/write/notify.ts'
import { recordRateSetting } from './log/write/steer-destination.ts'
import { readStartSalt, recordStart } from './log/write/record-accesses.ts'
import { registerInstance } from './log/write/register-instance.ts'
import type { InstanceId } from './message/message.ts'
import type { Metrics } from './metrics.ts'
import type { Failpoint } from './runtime/failpoint.ts'
import { withoutSecrets } from './runtime/without-secrets.ts'
import { Hint } from './runtime/hint.ts'
import type { Logger } from './runtime/logger.ts'
import { retryDelayMs } from './runtime/retry-delay-ms.ts'
import { wait } from './runtime/wait.ts'
import { stopMs } from './trace/stop-ms.ts'
import type { Tracing } from './trace/tracing.ts'
import { listen } from './wake/listen.ts'
import { Presence } from './wake/presence.ts'

const registerEvery = { firstMs: 500, maxMs: 5_000 }

export type Service = ReturnType<typeof startService>

export type ServiceOptions = {
  config: Config
  connection: pg.ConnectionConfig & { connectionString: string }
  brokers: string[]
  downstreamUrl: URL
  database: pg.Pool
  server: ServerWatch
  /**
   * Fires when the log is on another server than before, or is an older copy: everything known about the log
   * must be checked again.
   */
  serverChanges: Hint
  instance: InstanceId
  release: string
  metrics: Metrics
  logger: Logger
  failpoint: Failpoint
  /** Null if traces are off. */
  tracing: Tracing | null
  /** Fires when any instance may have appended events. */
  events: Hint
  /** Fires when something may have been decided about the destination, or a probe of it may have ended. */
  destinationChanges: Hint
  /** Fires when something was decided about a replay job, or its counts have changed. */
  jobChanges: Hint
}

/**
 * Starts the service's parts on a migrated database: the LISTEN session, the two lanes, and last the
 * consumer. They meet in the log. The only shortcut is the fresh lane's room, which is handed to the consumer
 * here.
 */
export function startService(options: ServiceOptions & { afterOutage: boolean }) {
  const {
    config,
    database,
    server,
    instance,
    metrics,
    logger,
    failpoint,
    events,
    destinationChanges,
    jobChanges,
    tracing,
  } = options
  const { lanes, downstream } = config
  const deliverer = createDeliverer({
    url: options.downstreamUrl,
    timeoutMs: downstream.timeoutMs,
    connections: lanes.fresh + lanes.retry,
    headers: downstream.headers,
    statuses: {
      retryStatuses: (statusCode) =>
        downstream.retryStatuses(statusCode) || downstream.holdStatuses(statusCode),
      unknownStatuses: downstream.unknownStatuses,
    },
    reference: downstream.reference,
    tls: downstream.tls,
  })
  const inquiry = downstream.inquiry && {
    ask: createInquirer({ ...downstream, ...downstream.inquiry }),
    gapMs: downstream.inquiry.gapMs,
  }
  const decisions = new Hint()
  const presence = new Presence()
  const stopping = new AbortController()
  options.serverChanges.on(() => {
    dispatcher.wake('reconnect')
    events.give()
    void registerAgain(options, stopping.signal)
  })
  const listener = listen({
    connectionString: config.database.listenUrl ?? options.connection.connectionString,
    ssl: options.connection.ssl,
    channels: [
      'message_due',
      'message_events',
      'partition_decided',
      'destination_changed',
      'replay_job',
      'replay_job_counts',
    ],
    instance,
    onNotify: (channel) => {
      if (channel === 'message_due') dispatcher.wake('notify')
      else if (channel === 'partition_decided') decisions.give()
      else if (channel === 'destination_changed') {
        dispatcher.lookAtDestination()
        destinationChanges.give()
      } else if (channel === 'replay_job' || channel === 'replay_job_counts') {
        if (channel === 'replay_job') dispatcher.lookAtJobs()
        jobChanges.give()
      } else events.give()
    },
    notifyAsWriter: (channel, payload) => notify(database, channel, payload),
    onAlive: (other) => presence.hear(other),
    onUp: (reconnect) => {
      presence.begin()
      // Whatever happened to the server also broke this session. If nothing answers now, the next caller that
      // needs the answer asks again.
      if (reconnect) void server.recognize(database).catch(() => undefined)
      dispatcher.wake(reconnect ? 'reconnect' : 'start')
      dispatcher.lookAtDestination()
      dispatcher.lookAtJobs()
      decisions.give()
      destinationChanges.give()
      jobChanges.give()
      events.give()
    },
    logger,
  })
  const dispatcher = dispatch({
    database,
    server,
    instance,
    limits: lanes,
    leaseMs: lanes.leaseMs,
    segmentMessages: config.segmentMessages,
    timeoutMs: downstream.timeoutMs,
    keyWindowMs: config.keyWindowMs,
    inquiry,
    policy: { ...config.retry, holdStatuses: downstream.holdStatuses },
    destination: config.destination,
    guard: config.guard,
    throttleMaxMs: config.throttleMaxMs,
    retention: config.retention,
    deliver: (delivery, deadlineAt) => deliverer.deliver(delivery, deadlineAt),
    tracing,
    abortAll: (reason) => deliverer.abortAll(reason),
    mayLive: (other) => presence.mayLive(other),
    listenerUpSince: () => listener.upSince,
    metrics,
    logger,
    failpoint,
    afterOutage: options.afterOutage,
  })
  const consumer = consume({
    kafka: { ...config.kafka, brokers: options.brokers },
    instance,
    maxRecordBytes: config.maxRecordBytes,
    leaseMs: lanes.leaseMs,
    database,
    lane: { reserve: (max) => dispatcher.reserveFresh(max) },
    decisions,
    serverChanges: options.serverChanges,
    tracing,
    metrics,
    logger,
    failpoint,
  })
  const retainLog = createRetainLog(options)
  const retaining = retainLog?.live(stopping.signal)
  return {
    listener,
    consumer,
    peers: presence,
    /** Null without RETAIN_LOG. */
    logRetention: () => retainLog?.standing ?? null,
    lanes: () => dispatcher.lanes(),
    destination: () => dispatcher.destination(),
    /**
     * Accepts no more work, ends open attempts within `graceMs`, and everything else within two more seconds.
     */
    async drain(graceMs: number): Promise<void> {
      const begunAt = performance.now()
      stopping.abort()
      await Promise.all([consumer.stop(), dispatcher.drain(graceMs), retaining])
      const spansMs = stopMs(graceMs, performance.now() - begunAt)
      await Promise.all([listener.stop(), deliverer.close(), tracing?.stop(spansMs)])
      presence.end()
    },
  }
}

function createRetainLog({ config, connection, instance, logger }: ServiceOptions): RetainLog | null {
  if (config.logRetention === null) return null
  const { connectionString } = connection
  const environment = {
    ...readEnvironment(),
    DATABASE_URL: connectionString,
    MIGRATE_DATABASE_URL: chooseOwnerUrl(config.database, connectionString),
  }
  return new RetainLog({ retention: config.logRetention, instance, environment, logger })
}

/** Records in the log the settings under which this instance is about to write, and the limit that they give. */
export async function register(options: ServiceOptions): Promise<void> {
  const { config, database, instance, release } = options
  await registerSettings(options)
  await recordRate(config, database, instance)
  await recordSettings(config, database, { instance, release })
}

/** A failover may have lost that this instance was registered. */
async function registerAgain(options: ServiceOptions, signal: AbortSignal): Promise<void> {
  for (let failures = 1; !signal.aborted; failures++) {
    try {
      await registerSettings(options)
      return
    } catch {
      // Whoever has work for the database tells that it is away.
      await wait(retryDelayMs(failures, registerEvery), signal)
    }
  }
}

async function registerSettings({
  config,
  database,
  instance,
  release,
  downstreamUrl,
}: ServiceOptions): Promise<void> {
  await registerInstance(database, {
    instance,
    release,
    freshMax: config.lanes.fresh + mostAhead(config.lanes.fresh),
    retryMax: config.lanes.retry + mostAhead(config.lanes.retry),
    leaseMs: config.lanes.leaseMs,
    timeoutMs: config.downstream.timeoutMs,
    retry: config.retry,
    keyWindowMs: config.keyWindowMs,
    inquiryGapMs: config.downstream.inquiry?.gapMs ?? null,
    destinationUrl: withoutSecrets(downstreamUrl),
  })
}

/** Which settings have changed since the last start can be asked later. */
async function recordSettings(
  { hashes }: Config,
  database: ServiceOptions['database'],
  run: { readonly instance: string; readonly release: string },
): Promise<void> {
  const salt = (await readStartSalt(database)) ?? randomBytes(16).toString('hex')
  await recordStart(database, { ...run, salt, hashes: await hashes(salt) })
}

/** Before anything is sent. If a transaction that waits for a lock is in the way, the start waits too. */
async function recordRate(
  config: Config,
  database: ServiceOptions['database'],
  instance: string,
): Promise<void> {
  for (;;) {
    const { kind } = await recordRateSetting(database, config.destination, `${instance}/guard`, config.rate)
    if (kind !== 'in_the_way') return
  }
}
