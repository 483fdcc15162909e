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
  /** Given when the log is on another server than before, or is an older copy: what is known of it is to be judged anew. */
  serverChanges: Hint
  instance: InstanceId
  release: string
  metrics: Metrics
  logger: Logger
  failpoint: Failpoint
  /** Given whenever events may have been appended, by whichever instance. */
  events: Hint
}

/**
 * Starts the work on a migrated database: the LISTEN session, the two lanes, and last the consumer. They meet in the log;
 * the one shortcut is the room of the fresh lane, handed to the consumer here.
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
      // Whatever became of the server broke this session. If nothing answers now, whoever needs an answer asks again.
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
    /** Takes no more, and ends what is open within `graceMs`; then within two seconds all else. */
    async drain(graceMs: number): Promise<void> {
      await Promise.all([consumer.stop(), dispatcher.drain(graceMs)])
      await Promise.all([listener.stop(), deliverer.close()])
      presence.end()
    },
  }
}

/** Says in the log under which settings this instance is about to write it. */
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
