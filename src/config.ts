import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { ConnectionOptions } from 'node:tls'
import { findMisnamed } from './config/find-misnamed.ts'
import { findUnusedProxies } from './config/find-unused-proxies.ts'
import { hashSettings } from './config/hash-settings.ts'
import { parseEnvFile } from './config/parse-env-file.ts'
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
import { readTracing, type TracingConfig } from './config/read-tracing.ts'
import { defaults, quote, Settings, type Environment } from './config/settings.ts'
import type { GuardPolicy } from './log/write/advance-destination.ts'
import { throttleWaitMsMax } from './message/read-throttle.ts'
import { rateLimitMax, rateLimitMin, type RateLimit } from './message/rate-limit.ts'
import type { RetryPolicy } from './message/decide.ts'
import { tlsOptions } from './runtime/tls.ts'

/** All settings, checked. A part that is null is embedded. Times are in milliseconds. */
export type Config = {
  readonly database: DatabaseConfig
  readonly kafka: KafkaConfig
  readonly downstream: DownstreamConfig
  /**
   * Proxy variables in the environment that one might expect to be used between this service and the
   * processor.
   */
  readonly unusedProxies: readonly string[]
  readonly retry: RetryPolicy
  /** How long the processor remembers an idempotency key, from the first attempt on; null for ever. */
  readonly keyWindowMs: number | null
  /** The name of the one destination, as its decisions and the API call it. */
  readonly destination: string
  readonly guard: GuardPolicy
  /** The limit that the settings give; null for none. */
  readonly rate: RateLimit | null
  /** The longest that all payments wait at once because the processor asks for it; 0 if such an answer is of its own payment alone. */
  readonly throttleMaxMs: number
  readonly lanes: { readonly fresh: number; readonly retry: number; readonly leaseMs: number }
  readonly maxRecordBytes: number
  /** How long payloads are kept after the last change of their message, and how it was written; null for ever. */
  readonly retention: { readonly retainMs: number; readonly text: string } | null
  /** Segments whose last event is older are archived into the folder, and how the age was written; null for never. */
  readonly logRetention: {
    readonly retainMs: number
    readonly text: string
    readonly directory: string
  } | null
  /** How many messages a new segment of the log holds. */
  readonly segmentMessages: number
  readonly api: ApiConfig
  /** Null if no spans are sent. */
  readonly tracing: TracingConfig | null
  readonly logLevel: string
  readonly dataDir: string
  readonly production: boolean
  readonly failpoint: Failpoint | null
  /** The hash of each setting as it is in force, by name; see hashSettings. */
  readonly hashes: (salt: string) => Promise<Readonly<Record<string, string>>>
}

const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const
// An answer that arrives at the timeout must still be written before the lease ends.
const leaseMarginMs = 1_000
// Bytes sometimes travel as hexadecimal digits: twice this number must stay well below V8's longest string of
// 2^29 − 24 characters.
const recordBytesMax = 128 * 1024 * 1024

// A hundred years.
const retainMsMax = 36_500 * 24 * 60 * 60 * 1_000

/**
 * The variables of the process. They take precedence over those of a `.env` file in the current folder.
 *
 * @throws an Error with one sentence if the file exists but cannot be read, or has a line that is not NAME=VALUE
 */
export function readEnvironment(): Record<string, string> {
  const variables = Object.entries({ ...readEnvFile(), ...process.env })
  return Object.fromEntries(variables.filter((each): each is [string, string] => each[1] !== undefined))
}

/**
 * Turns variables into a configuration, or into one sentence for each fault in them.
 *
 * @param readFile reads the PEM files that the settings name; everything else depends on `environment` alone
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
    keyWindowMs: settings.milliseconds('KEY_WINDOW', 0, retainMsMax) || null,
    destination: 'default',
    guard: {
      holdAfter: settings.integer('HOLD_AFTER', 0, 1_000_000),
      brakeAfter: settings.integer('BRAKE_AFTER', 0, 1_000_000),
      probeEveryMs: settings.milliseconds('PROBE_EVERY', 100, 3_600_000),
    },
    rate: readRate(settings),
    throttleMaxMs: settings.milliseconds('THROTTLE_MAX', 0, throttleWaitMsMax),
    lanes: {
      fresh: settings.integer('MAX_CONCURRENT', 1, 10_000),
      retry: settings.integer('MAX_CONCURRENT_RETRIES', 1, 10_000),
      leaseMs: settings.milliseconds('LEASE', 1, timerMsMax),
    },
    maxRecordBytes: settings.integer('MAX_RECORD_BYTES', 1, recordBytesMax),
    retention: readRetention(settings),
    logRetention: readLogRetention(settings),
    segmentMessages: settings.integer('SEGMENT_MESSAGES', 1_000, 1_000_000_000),
    api: readApi(settings, readFile),
    tracing: readTracing(settings),
    logLevel: settings.choice('LOG_LEVEL', logLevels),
    dataDir: settings.text('DATA_DIR'),
    production: readProduction(settings),
    failpoint: readFailpoint(settings),
    hashes: (salt) => hashSettings(environment, salt),
  }
  const faults = [...settings.faults, ...findContradictions(config), ...findMisnamed(environment)]
  return faults.length === 0 ? { config } : { faults }
}

/** RATE_LIMIT with RATE_BURST. 0 stands for no limit, and for a burst that goes by the limit. */
function readRate(settings: Settings): RateLimit | null {
  const perSecond = settings.number('RATE_LIMIT', 0, rateLimitMax)
  const burst = settings.integer('RATE_BURST', 0, rateLimitMax)
  if (perSecond > 0 && perSecond < rateLimitMin)
    settings.fault(`RATE_LIMIT is ${perSecond}: it must be 0, or at least ${rateLimitMin}.`)
  if (perSecond === 0 && burst > 0)
    settings.fault('RATE_BURST is set but RATE_LIMIT is not: it would have no effect.')
  return perSecond === 0 ? null : { perSecond, burst: burst === 0 ? null : burst }
}

/** RETAIN_PAYLOAD. 0 stands for ever. */
function readRetention(settings: Settings): Config['retention'] {
  const retainMs = settings.duration('RETAIN_PAYLOAD', retainMsMax)
  return retainMs === 0 ? null : { retainMs, text: settings.text('RETAIN_PAYLOAD') }
}

/** RETAIN_LOG with ARCHIVE_DIR: neither does anything without the other. */
function readLogRetention(settings: Settings): Config['logRetention'] {
  const faults = settings.faults.length
  const retainMs = settings.duration('RETAIN_LOG', retainMsMax)
  const isRead = settings.faults.length === faults
  const directory = settings.given('ARCHIVE_DIR')
  if (retainMs > 0 && directory === null)
    settings.fault(
      'RETAIN_LOG is set but ARCHIVE_DIR is not: name the folder that the archives are put into.',
    )
  if (isRead && retainMs === 0 && directory !== null)
    settings.fault(
      'ARCHIVE_DIR is set but RETAIN_LOG is not: nothing would be archived. Set RETAIN_LOG, or leave ARCHIVE_DIR out.',
    )
  return retainMs === 0 || directory === null
    ? null
    : { retainMs, text: settings.text('RETAIN_LOG'), directory: resolve(directory) }
}

/** NODE_ENV, for the embedded parts, which refuse to run in production. */
export function nodeEnvironment(): string {
  return new Settings(readEnvironment()).text('NODE_ENV')
}

/**
 * The Kafka that command-line tools use: the configured one, else the embedded one.
 *
 * @throws an Error with one sentence
 */
export function kafkaForTools(): KafkaConfig & { readonly brokers: string[] } {
  return readOrThrow((settings) => ({ ...readKafka(settings, readText), brokers: readBrokers(settings) }))
}

/**
 * The database that command-line tools use: the configured one, else the embedded one. They connect as the
 * service's role, or as the owner if one is configured and `as` asks for it.
 *
 * @throws an Error with one sentence
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

/** Whether a setting names the database; without one the tools ask the embedded one. */
export function namesDatabase(): boolean {
  return readDatabaseUrl(new Settings(readEnvironment())) !== null
}

/**
 * TQP_URL and TQP_TOKEN: where `tqp` asks, and as whom; null where they are not given. They are no settings of the service, so `.env` does not
 * have them.
 */
export function endpointForTqp(): { readonly url: string | null; readonly token: string | null } {
  const { TQP_URL: url = '', TQP_TOKEN: token = '' } = process.env
  // A header with it would be refused, and the refusal would print it.
  if (!/^[\x21-\x7e]*$/.test(token)) throw new Error('TQP_TOKEN holds characters that no token has.')
  return { url: url === '' ? null : url, token: token === '' ? null : token }
}

/** The place at which a crash test kills a command; null without one, and always in production. */
export function failpointForTools(): Failpoint | null {
  return readOrThrow((settings) => (readProduction(settings) ? null : readFailpoint(settings)))
}

function readText(path: string): string {
  return readFileSync(path, 'utf8')
}

function readEnvFile(): NodeJS.Dict<string> {
  return parseEnvFile(readTextOfEnvFile())
}

/** Empty if there is none. */
function readTextOfEnvFile(): string {
  try {
    return readFileSync('.env', 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return ''
    throw new Error('.env exists but cannot be read.', { cause: error })
  }
}

/** A misspelt "production" must not pass: the service would start on embedded parts. */
function readProduction(settings: Settings): boolean {
  const stage = settings.text('NODE_ENV')
  if (stage !== 'production' && /^\W*prod/i.test(stage))
    settings.fault(`NODE_ENV is ${quote(stage)}: did you mean production?`)
  return stage === 'production'
}

/** Settings that are valid by themselves but not together. */
function findContradictions(config: Config): string[] {
  const { database, kafka, downstream, lanes, retention, logRetention, production, failpoint } = config
  const faults: string[] = []
  if (retention !== null && logRetention !== null && logRetention.retainMs <= retention.retainMs) {
    faults.push(
      'RETAIN_LOG must be longer than RETAIN_PAYLOAD: what is archived before its payload was removed keeps it.',
    )
  }
  if (lanes.leaseMs < downstream.timeoutMs + leaseMarginMs) {
    faults.push(
      'LEASE must be at least DOWNSTREAM_TIMEOUT + 1 second, or an attempt could outlive its lease.',
    )
  }
  if (!production) return faults
  if (database.url === null) {
    faults.push(
      'DATABASE_URL (or the POSTGRES_ settings) must be set in production: nothing is embedded there.',
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
