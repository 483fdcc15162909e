import { connect } from 'node:net'
import { resolve } from 'node:path'
import { makeTopic } from '../kafka/test-topic/make-topic.ts'
import type { Logger } from '../runtime/logger.ts'
import type { Lifeline } from './end-with-us.ts'
import { isHealthy } from './is-healthy.ts'
import { ownerPathOf, takeOwnership } from './take-ownership.ts'
import { startPart } from './start-part.ts'
import { startPostgres } from './start-postgres.ts'

export interface EmbeddedOptions {
  postgres: boolean
  broker: boolean
  mock: boolean
  dataDir: string
  /** The service's topic, which is created on the embedded broker. */
  topic: string
  logger: Logger
}

/**
 * What runs, and where. The URLs are set even for parts that were not started; `parts` lists the started
 * ones.
 */
export interface Embedded {
  databaseUrl: string
  brokers: string
  downstreamUrl: string
  parts: string[]
  /** Stops the mock processor and the broker, and PostgreSQL last. */
  stop(): Promise<void>
}

// The ports are fixed, so that a second instance, psql and kcat find the parts.
const postgresPort = 54_329
const brokerPort = 29_092
const mockPort = 8_001
const host = '127.0.0.1'

const account = { user: 'postgres', password: 'postgres', database: 'transactions' }

/**
 * After a service was killed its parts run for this long, for the next start and for an operator who looks at
 * what is left.
 */
const graceSeconds = 60

interface Started {
  name: string
  pid: number
  adopted: boolean
  stop(): Promise<void>
}

/**
 * Starts the parts that no setting replaces. One instance owns the embedded parts of a data folder. Another
 * instance that uses them gets their addresses by its settings, and embeds nothing. If this process is
 * killed, the parts end a minute later, unless the next start in the folder adopts them.
 *
 * @throws an Error with one sentence for each part that cannot start; the started ones are stopped again
 */
export async function startEmbedded(options: EmbeddedOptions): Promise<Embedded> {
  const wanted = [
    ...(options.postgres ? [() => startDatabase(options.dataDir)] : []),
    ...(options.broker ? [() => startBroker(options)] : []),
    ...(options.mock ? [() => startMock(options.dataDir)] : []),
  ]
  const release = wanted.length > 0 ? await takeOwnership(resolve(options.dataDir)) : () => Promise.resolve()
  const started = await startAll(wanted, release)
  for (const { name, pid, adopted } of started)
    options.logger.info({ part: name, pid, adopted }, 'embedded_part_ready')
  return {
    databaseUrl: `postgresql://${account.user}:${account.password}@${host}:${postgresPort}/${account.database}`,
    brokers: `${host}:${brokerPort}`,
    downstreamUrl: `http://${host}:${mockPort}/process`,
    parts: started.map(({ name }) => name),
    stop: async () => {
      try {
        await stopAll(started)
      } finally {
        await release()
      }
    },
  }
}

async function startAll(
  wanted: (() => Promise<Started>)[],
  release: () => Promise<void>,
): Promise<Started[]> {
  const results = await Promise.allSettled(wanted.map((start) => start()))
  const started = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []))
  const faults = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as Error] : []))
  if (faults.length === 0) return started
  await stopAll(started)
  await release()
  throw new AggregateError(faults, faults.map((fault) => fault.message).join('\n'))
}

/** In the reverse order of the starts: the part that others write into stops last. */
async function stopAll(started: Started[]): Promise<void> {
  for (const part of started.toReversed()) await part.stop()
}

async function startDatabase(dataDir: string): Promise<Started> {
  return {
    name: 'postgres',
    ...(await startPostgres({ dataDir, port: postgresPort, ...account, lifeline: lifelineOf(dataDir) })),
  }
}

async function startBroker({ dataDir, topic }: EmbeddedOptions): Promise<Started> {
  const part = await startPart({
    name: 'broker',
    script: 'broker',
    args: ['--port', String(brokerPort), '--host', host, '--data', resolve(dataDir, 'broker')],
    port: brokerPort,
    dataDir,
    ready: accepts,
    remedy: 'stop that program, or set KAFKA_BROKER',
    lifeline: lifelineOf(dataDir),
  })
  await makeTopic(`${host}:${brokerPort}`, topic)
  return { name: 'broker', ...part }
}

/** With a ledger, so that keys are honoured across restarts and `npm run verify -- --ledger` can read it. */
async function startMock(dataDir: string): Promise<Started> {
  const part = await startPart({
    name: 'mock',
    script: 'mock',
    args: ['--port', String(mockPort), '--host', host, '--ledger', resolve(dataDir, 'mock-ledger.jsonl')],
    port: mockPort,
    dataDir,
    ready: (port) => isHealthy(host, port),
    remedy: 'stop that program, or set DOWNSTREAM_URL',
    lifeline: lifelineOf(dataDir),
  })
  return { name: 'mock', ...part }
}

function lifelineOf(dataDir: string): Lifeline {
  return { graceSeconds, ownerPath: ownerPathOf(resolve(dataDir)) }
}

async function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host })
    socket.once('error', () => resolve(false))
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
  })
}
