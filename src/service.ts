import type pg from 'pg'
import type { Config } from './config.ts'
import { createDeliverer } from './deliver/deliver.ts'
import { dispatch } from './dispatch/dispatch.ts'
import { consume } from './ingest/consume.ts'
import type { ServerWatch } from './log/server/server-watch.ts'
import { notify } from './log/write/notify.ts'
import { registerInstance } from './log/write/register-instance.ts'
import type { InstanceId } from './message/message.ts'
import type { Metrics } from './metrics.ts'
import type { Failpoint } from './runtime/failpoint.ts'
import { Hint } from './runtime/hint.ts'
import type { Logger } from './runtime/logger.ts'
import { listen } from './wake/listen.ts'
import { Presence } from './wake/presence.ts'

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
  /** Fires when any instance may have appended events. */
  events: Hint
}

/**
 * Starts the service's parts on a migrated database: the LISTEN session, the two lanes, and last the
 * consumer. They meet in the log. The only shortcut is the fresh lane's room, which is handed to the consumer
 * here.
 */
export function startService(options: ServiceOptions & { afterOutage: boolean }) {
  const { config, database, server, instance, metrics, logger, failpoint, events } = options
  const { lanes, downstream } = config
  const deliverer = createDeliverer({
    url: options.downstreamUrl,
    timeoutMs: downstream.timeoutMs,
    connections: lanes.fresh + lanes.retry,
    headers: downstream.headers,
    retryStatuses: downstream.retryStatuses,
    tls: downstream.tls,
  })
  const decisions = new Hint()
  const presence = new Presence()
  options.serverChanges.on(() => {
    dispatcher.wake('reconnect')
    events.give()
  })
  const listener = listen({
    connectionString: config.database.listenUrl ?? options.connection.connectionString,
    ssl: options.connection.ssl,
    channels: ['message_due', 'message_events', 'partition_decided'],
    instance,
    onNotify: (channel) => {
      if (channel === 'message_due') dispatcher.wake('notify')
      else if (channel === 'partition_decided') decisions.give()
      else events.give()
    },
    notifyAsWriter: (channel, payload) => notify(database, channel, payload),
    onAlive: (other) => presence.hear(other),
    onUp: (reconnect) => {
      presence.begin()
      // Whatever happened to the server also broke this session. If nothing answers now, the next caller that
      // needs the answer asks again.
      if (reconnect) void server.recognize(database).catch(() => undefined)
      dispatcher.wake(reconnect ? 'reconnect' : 'start')
      decisions.give()
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
    timeoutMs: downstream.timeoutMs,
    policy: config.retry,
    deliver: (delivery, deadlineAt) => deliverer.deliver(delivery, deadlineAt),
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
    metrics,
    logger,
    failpoint,
  })
  return {
    listener,
    consumer,
    lanes: () => dispatcher.lanes(),
    /**
     * Accepts no more work, ends open attempts within `graceMs`, and everything else within two more seconds.
     */
    async drain(graceMs: number): Promise<void> {
      await Promise.all([consumer.stop(), dispatcher.drain(graceMs)])
      await Promise.all([listener.stop(), deliverer.close()])
      presence.end()
    },
  }
}

/** Records in the log the settings under which this instance is about to write. */
export async function register({ config, database, instance, release }: ServiceOptions): Promise<void> {
  await registerInstance(database, {
    instance,
    release,
    freshMax: config.lanes.fresh,
    retryMax: config.lanes.retry,
    leaseMs: config.lanes.leaseMs,
    timeoutMs: config.downstream.timeoutMs,
    retry: config.retry,
  })
}
