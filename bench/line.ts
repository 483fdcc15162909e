import { spawnSync } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { join as joinPath } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import pg from 'pg'
import type { Entry } from '../src/embedded/mock/ledger.ts'
import { produce } from '../src/kafka/test-topic/produce.ts'
import { ask } from './measure.ts'
import { startService, type Parts, type RunningService } from './parts.ts'

/** Produces so many test transactions, with a rate so many a second. It makes the topic too, which a service never does. */
export async function fill(parts: Parts, count: number, rate: number | null): Promise<void> {
  const produced = await produce({
    brokers: parts.brokers.split(','),
    topic: parts.topic,
    count,
    rate,
    prefix: null,
    acksPath: acksPath(parts),
  })
  if (produced.acknowledged !== count)
    throw new Error(`only ${produced.acknowledged} records were acknowledged`)
}

function acksPath(parts: Parts): string {
  return joinPath(parts.folder, 'acks.jsonl')
}

export async function connect({ databaseUrl }: Pick<Parts, 'databaseUrl'>): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: databaseUrl })
  await client.connect()
  return client
}

/** How many messages wait for nothing any more. */
export const done = 'select success + dead_letter as value from status_counts()'

/**
 * Waits until so many messages are done. It asks the counts ten times a second, which costs far under a thousandth of the line.
 *
 * @throws the end of a service's log if it has ended
 */
export async function settled(
  client: pg.Client,
  total: number,
  ...services: readonly RunningService[]
): Promise<number> {
  const schemaless = '42883'
  for (;;) {
    for (const service of services) service.insistOnLife()
    try {
      const finished = await ask(client, done)
      if (finished >= total) return finished
    } catch (error) {
      // The service brings up its schema in these first moments.
      if (!(error instanceof pg.DatabaseError) || error.code !== schemaless) throw error
    }
    await sleep(100)
  }
}

/** Has the mock processor fail every request of the next seconds; 0 ends that. */
export async function setOutage({ downstreamUrl }: Parts, seconds: number): Promise<void> {
  await fetch(`${downstreamUrl.replace(/process$/, 'outage')}?seconds=${seconds}`, { method: 'POST' })
}

/** What the processor's ledger has, in the order of arrival. */
export async function readLedger({ ledgerPath }: Parts): Promise<Entry[]> {
  // A line without its end is still being written.
  const lines = (await readFile(ledgerPath, 'utf8')).split('\n').slice(0, -1)
  return lines.map((line) => JSON.parse(line) as Entry)
}

export async function untilReady(service: RunningService): Promise<void> {
  const isReady = async (): Promise<boolean> => {
    try {
      return (await fetch(`${service.url}/readyz`)).ok
    } catch {
      return false
    }
  }
  while (!(await isReady())) {
    service.insistOnLife()
    await sleep(50)
  }
}

/** A service by the name that it has in the log. */
export type Instance = { name: string; service: RunningService }

/** Starts a service, waits until it is ready, and puts it among the others. One at a time: its name is that of the latest. */
export async function join(
  parts: Parts,
  instances: Instance[],
  settings: Record<string, string>,
): Promise<void> {
  const service = await startService(parts, settings)
  try {
    await untilReady(service)
    const client = await connect(parts)
    const { rows } = await client.query<{ instance: string }>(
      'select instance from instances order by started_at desc limit 1',
    )
    await client.end()
    instances.push({ name: rows[0]?.instance ?? '', service })
  } catch (error) {
    await service.stop()
    throw error
  }
}

/** Payments that were carried out by the processor's ledger, and effects beyond one each. */
export function countEffects(ledger: readonly Entry[]): { paid: number; twice: number } {
  const effects = ledger.filter(({ effect }) => effect).map(({ transaction_id: id }) => id)
  const paid = new Set(effects).size
  return { paid, twice: effects.length - paid }
}

/** Milliseconds from the producer's time on the record. */
export type Delivery = {
  readonly messages: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly maxMs: number
  /** Of it, to the transaction that stores the message. */
  readonly toStoreP50Ms: number
}

/**
 * How long messages took from the producer's timestamp on the record to the commit's time of their success.
 *
 * @param above of messages with higher ids
 * @param upTo and with ids up to this one
 */
export async function readDelivery(client: pg.Client, above: number, upTo: number): Promise<Delivery> {
  const { rows } = await client.query<{
    messages: string
    p50: number | null
    p99: number
    max: number
    to_store: number
  }>(
    `select count(*) as messages, percentile_disc(0.5) within group (order by ms) as p50,
       percentile_disc(0.99) within group (order by ms) as p99, max(ms) as max,
       percentile_disc(0.5) within group (order by to_store_ms) as to_store
     from (
       select (extract(epoch from e.recorded_at) * 1000 - r.timestamp_ms)::float8 as ms,
         (extract(epoch from s.created_at) * 1000 - r.timestamp_ms)::float8 as to_store_ms
       from message_events e
       join records r on r.message_id = e.message_id and r.version = 1
       join message_states s on s.message_id = e.message_id
       where e.type = 'succeeded' and e.message_id > $1 and e.message_id <= $2
     ) delivered`,
    [above, upTo],
  )
  const found = rows[0]
  if (found?.p50 == null) throw new Error('no message was delivered')
  return {
    messages: Number(found.messages),
    p50Ms: found.p50,
    p99Ms: found.p99,
    maxMs: found.max,
    toStoreP50Ms: found.to_store,
  }
}

/** For `ask`: the last message id that was given out. */
export const lastMessageId = 'select last_value as value from message_ids'

type Verified = { readonly isClean: boolean; readonly seconds: number; readonly output: string }

/** Runs the checker, as `npm run verify` does, with the acknowledgements unless told otherwise. */
export function verify(parts: Parts, flags: readonly string[] = ['--acks', acksPath(parts)]): Verified {
  const script = fileURLToPath(new URL('../dist/commands/verify.js', import.meta.url))
  const startedAt = performance.now()
  const { status, stdout, stderr } = spawnSync(process.execPath, [script, ...flags], {
    env: { PATH: process.env.PATH, DATABASE_URL: parts.databaseUrl },
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  })
  const seconds = (performance.now() - startedAt) / 1_000
  return { isClean: status === 0, seconds, output: `${stdout}${stderr}` }
}

/** The same, with the processor's ledger too. */
export function verifyWithLedger(parts: Parts): Verified {
  return verify(parts, ['--acks', acksPath(parts), '--ledger', parts.ledgerPath])
}

/** The same, with archives too. */
export function verifyWith(parts: Parts, archives: string): Verified {
  return verify(parts, ['--acks', acksPath(parts), '--archive', archives])
}
