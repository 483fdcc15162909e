import { readFileSync } from 'node:fs'
import type { ConnectionOptions } from 'node:tls'
import { parseEnv } from 'node:util'
import { findMisnamed } from './config/find-misnamed.ts'
import { findUnusedProxies } from './config/find-unused-proxies.ts'
import { readApi, type ApiConfig } from './config/read-api.ts'
import {
  readDatabase,
  readDatabaseTls,
  readDatabaseUrl,
  readOtherUrl,
  type DatabaseConfig,
} from './config/read-database.ts'
import { readDownstream, timerMsMax, type DownstreamConfig } from './config/read-downstream.ts'
import { readFailpoint, type Failpoint } from './config/read-failpoint.ts'
import { readBrokers, readKafka, type KafkaConfig } from './config/read-kafka.ts'
import type { ReadFile } from './config/read-tls.ts'
import { defaults, quote, Settings, type Environment } from './config/settings.ts'
import type { RetryPolicy } from './message/decide.ts'
import { tlsOptions } from './runtime/tls.ts'

/** Everything the process was told, checked; a part that is null is embedded. Times are in milliseconds. */
export type Config = {
  readonly database: DatabaseConfig
  readonly kafka: KafkaConfig
  readonly downstream: DownstreamConfig
  /** Variables of the environment that name a proxy, where one might be expected between the processor and us. */
  readonly unusedProxies: readonly string[]
  readonly retry: RetryPolicy
  readonly lanes: { readonly fresh: number; readonly retry: number; readonly leaseMs: number }
  readonly maxRecordBytes: number
  readonly api: ApiConfig
  readonly logLevel: string
  readonly dataDir: string
  readonly production: boolean
  readonly failpoint: Failpoint | null
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
// An answer that arrives at the timeout still has to be written before the lease ends.
const leaseMarginMs = 1_000
// Where bytes travel as hexadecimal digits, twice this must stay well below V8's longest string of 2^29 − 24 characters.
const recordBytesMax = 128 * 1024 * 1024

/** The variables of the process, over those of a `.env` file in the current folder. Throws if that cannot be read. */
export function readEnvironment(): Record<string, string> {
  const variables = Object.entries({ ...readEnvFile(), ...process.env })
  return Object.fromEntries(variables.filter((each): each is [string, string] => each[1] !== undefined))
}

/**
 * Turns variables into a configuration, or into one sentence for every fault in them.
 *
 * @param readFile reads the PEM files that the settings name; all else follows from `environment` alone
 */
export function configure(
  environment: Environment,
  readFile: ReadFile = readText,
): { config: Config } | { faults: string[] } {
  const settings = new Settings(environment)
  const servers = {
    database: readDatabase(settings, readFile),
    kafka: readKafka(settings, readFile),
    downstream: readDownstream(settings, readFile),
  }
  const config: Config = {
    ...servers,
    unusedProxies: findUnusedProxies(environment, servers.downstream.url),
    retry: {
      retriesMax: settings.integer('MAX_RETRIES', 0, 1_000),
      baseDelayMs: settings.milliseconds('BASE_DELAY', 0, timerMsMax),
      maxDelayMs: settings.milliseconds('MAX_DELAY', 0, timerMsMax),
    },
    lanes: {
      fresh: settings.integer('MAX_CONCURRENT', 1, 10_000),
      retry: settings.integer('MAX_CONCURRENT_RETRIES', 1, 10_000),
      leaseMs: settings.milliseconds('LEASE', 1, timerMsMax),
    },
    maxRecordBytes: settings.integer('MAX_RECORD_BYTES', 1, recordBytesMax),
    api: readApi(settings),
    logLevel: settings.choice('LOG_LEVEL', logLevels),
    dataDir: settings.text('DATA_DIR'),
    production: readProduction(settings),
    failpoint: readFailpoint(settings),
  }
  const faults = [...settings.faults, ...findContradictions(config), ...findMisnamed(environment)]
  return faults.length === 0 ? { config } : { faults }
}

/** What NODE_ENV says, for the embedded parts, which refuse to be production. */
export function nodeEnvironment(): string {
  return new Settings(readEnvironment()).text('NODE_ENV')
}

/** Kafka, for the tools that ask it from outside: the named one, else the embedded one. Throws a sentence. */
export function kafkaForTools(): KafkaConfig & { readonly brokers: string[] } {
  return readOrThrow((settings) => ({ ...readKafka(settings, readText), brokers: readBrokers(settings) }))
}

/**
 * The database of the tools that look at it from outside: the named one, else the embedded one. As the service's role, or
 * as the owner where one is named. Throws a sentence.
 */
export function databaseForTools(as: 'service' | 'owner' = 'service'): {
  connectionString: string
  ssl: ConnectionOptions | false
} {
  return readOrThrow((settings) => {
    const url = readDatabaseUrl(settings)
    const owner = as === 'owner' ? readOtherUrl(settings, 'MIGRATE_DATABASE_URL', url) : null
    const tls = readDatabaseTls(settings, readText)
    return { connectionString: owner ?? url ?? defaults.DATABASE_URL, ssl: tls && tlsOptions(tls) }
  })
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}

function readEnvFile(): NodeJS.Dict<string> {
  try {
    return parseEnv(readFileSync('.env', 'utf8'))
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return {}
    throw new Error('.env is there but cannot be read.', { cause: error })
  }
}

/** Almost production is the one answer that must not pass: it would start on embedded parts. */
function readProduction(settings: Settings): boolean {
  const stage = settings.text('NODE_ENV')
  if (stage !== 'production' && /^prod/i.test(stage))
    settings.fault(`NODE_ENV is ${quote(stage)}: did you mean production?`)
  return stage === 'production'
}

/** Settings that are each in order and cannot stand together. */
function findContradictions({ database, kafka, downstream, lanes, production, failpoint }: Config): string[] {
  const faults: string[] = []
  if (lanes.leaseMs < downstream.timeoutMs + leaseMarginMs) {
    faults.push(
      'LEASE must be at least DOWNSTREAM_TIMEOUT + 1 second, or an attempt could outlive its lease.',
    )
  }
  if (!production) return faults
  if (database.url === null) {
    faults.push(
      'DATABASE_URL (or POSTGRES_HOST and the like) must be set in production: nothing is embedded there.',
    )
  }
  if (kafka.brokers === null)
    faults.push('KAFKA_BROKER must be set in production: nothing is embedded there.')
  if (downstream.url === null)
    faults.push('DOWNSTREAM_URL must be set in production: nothing is embedded there.')
  if (failpoint !== null) faults.push('FAILPOINT kills the process on purpose and is refused in production.')
  return faults
}

function readOrThrow<Value>(read: (settings: Settings) => Value): Value {
  const settings = new Settings(readEnvironment())
  const value = read(settings)
  if (settings.faults.length > 0) throw new Error(settings.faults.join(' '))
  return value
}
