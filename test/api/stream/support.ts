import pg from 'pg'
import { pino } from 'pino'
import type { Test } from 'tap'
import type { Delivery } from '../../../src/api/stream/delivery.ts'
import type { LiveStream } from '../../../src/api/stream/live-stream.ts'
import { selectEvents } from '../../../src/api/stream/select-events.ts'
import { Streams } from '../../../src/api/stream/streams.ts'
import type { LogCursor } from '../../../src/log/read/log-cursor.ts'
import type { LogEvent } from '../../../src/log/read/log-event.ts'
import type { EventFilter } from '../../../src/log/read/read-events.ts'
import { createMetrics } from '../../../src/metrics.ts'
import { Hint } from '../../../src/runtime/hint.ts'
import { listen } from '../../../src/wake/listen.ts'
import { accepted, fresh, newName, record, settle, settlement, store } from '../../log/support.ts'
import { until } from '../../support/until.ts'
import { well } from '../service.ts'

/** A hint that comes whenever PostgreSQL NOTIFYs, as the service has it. */
export async function hearEvents(t: Pick<Test, 'teardown'>, url: string): Promise<Hint> {
  const events = new Hint()
  const listener = listen({
    connectionString: url,
    channels: ['message_events'],
    instance: 'test',
    onNotify: () => events.give(),
    onUp: () => events.give(),
    logger: pino({ level: 'silent' }),
  })
  t.teardown(() => listener.stop())
  await until('the listener', () => listener.up)
  return events
}

/** Everything that the subscriptions of one process are made of, without a transport. */
export async function startStreams(t: Pick<Test, 'teardown'>, { url, pool }: { url: string; pool: pg.Pool }) {
  const events = await hearEvents(t, url)
  const streams = new Streams({
    database: pool,
    logger: pino({ level: 'silent' }),
    onEvents: (wake) => events.on(wake),
    onJobs: () => () => undefined,
    onDestination: () => () => undefined,
    health: () => well,
    metrics: createMetrics('test'),
  })
  t.teardown(() => streams.end())
  return streams
}

export function follow(
  streams: Streams,
  {
    after = null,
    filter = {},
    cursorsEveryMs = null,
  }: { after?: LogCursor | null; filter?: EventFilter; cursorsEveryMs?: number | null } = {},
): LiveStream<Delivery> {
  return streams.events('test', { after, selection: selectEvents(filter), cursorsEveryMs })
}

/** The next so many deliveries. */
export async function take(stream: AsyncIterator<Delivery>, count: number): Promise<Delivery[]> {
  const taken: Delivery[] = []
  while (taken.length < count) {
    const next = await stream.next()
    if (next.done === true) break
    taken.push(next.value)
  }
  return taken
}

export function nameOf(event: Pick<LogEvent, 'messageId' | 'version'> | null): string {
  return event === null ? '-' : `${event.messageId}/${event.version}`
}

/**
 * Messages that run from received to success, three events each, by several writers at once. Each writer holds its transaction
 * open for a while of its own, so that they commit in another order than they began.
 *
 * @returns how many events were written
 */
export async function flow(
  t: Pick<Test, 'teardown'>,
  url: string,
  messages: number,
  { writers = 6, batch = 5 } = {},
): Promise<number> {
  const pool = new pg.Pool({ connectionString: url, max: writers })
  t.teardown(() => pool.end())
  let left = messages
  const write = async (): Promise<void> => {
    while (left > 0) {
      const count = Math.min(batch, left)
      left -= count
      const claims = await inTransaction(pool, async (client) => {
        const records = Array.from({ length: count }, (_, at) => record(at, newName()))
        return (await store(client as unknown as pg.Pool, records, { room: count })).claims
      })
      await inTransaction(pool, (client) =>
        settle(
          client as unknown as pg.Pool,
          fresh,
          claims.map(({ messageId }) => settlement(messageId, 1, accepted)),
        ),
      )
    }
  }
  await Promise.all(Array.from({ length: writers }, write))
  return messages * 3
}

async function inTransaction<Value>(
  pool: pg.Pool,
  act: (client: pg.PoolClient) => Promise<Value>,
): Promise<Value> {
  const client = await pool.connect()
  try {
    await client.query('begin')
    const value = await act(client)
    // By the database's clock, so that it is a statement among others and not a sleep of this process.
    await client.query('select pg_sleep($1::float8 / 1000)', [Math.random() * 4])
    await client.query('commit')
    return value
  } finally {
    client.release()
  }
}

/** Names of all events of the log, by message and version. */
export async function readNames(pool: pg.Pool): Promise<string[]> {
  const { rows } = await pool.query<{ name: string }>(
    `select message_id || '/' || version as name from message_events order by message_id, version`,
  )
  return rows.map(({ name }) => name)
}
