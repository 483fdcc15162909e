import { readSpan } from './read-span.ts'

/**
 * Every setting by name, with its default as a user would write it. An empty default means that there is
 * none. `.env.example` explains each setting, and a test compares the two.
 */
export const defaults = {
  KAFKA_BROKER: '127.0.0.1:29092',
  KAFKA_TOPIC: 'transactions.incoming',
  KAFKA_GROUP_ID: 'transaction-processor-group',
  KAFKA_SSL: 'false',
  KAFKA_CA: '',
  KAFKA_CERT: '',
  KAFKA_KEY: '',
  KAFKA_SASL_MECHANISM: '',
  KAFKA_SASL_USERNAME: '',
  KAFKA_SASL_PASSWORD: '',
  DATABASE_URL: 'postgresql://postgres:postgres@127.0.0.1:54329/transactions',
  POSTGRES_USER: 'postgres',
  POSTGRES_PASSWORD: '',
  POSTGRES_DB: 'transactions',
  POSTGRES_HOST: 'localhost',
  POSTGRES_PORT: '5432',
  DATABASE_SSL: 'false',
  DATABASE_CA: '',
  LISTEN_DATABASE_URL: '',
  MIGRATE_DATABASE_URL: '',
  DOWNSTREAM_URL: 'http://localhost:8001/process',
  DOWNSTREAM_TIMEOUT: '30',
  DOWNSTREAM_HEADERS: '{}',
  DOWNSTREAM_CA: '',
  DOWNSTREAM_CERT: '',
  DOWNSTREAM_KEY: '',
  RETRY_STATUSES: '408,409,425,429,5xx',
  UNKNOWN_STATUSES: '500,502,504',
  HOLD_STATUSES: '401,403,407',
  HOLD_AFTER: '20',
  BRAKE_AFTER: '50',
  PROBE_EVERY: '5',
  RATE_LIMIT: '0',
  RATE_BURST: '0',
  THROTTLE_MAX: '60',
  MAX_RETRIES: '5',
  BASE_DELAY: '60',
  MAX_DELAY: '3600',
  KEY_WINDOW: '86400',
  STATUS_URL: '',
  STATUS_RULES:
    '200/status=success:carried_out,200/status=failed:refused,200/status=pending:in_progress,404:not_found',
  INQUIRY_GAP: '5',
  REFERENCE: '',
  MAX_CONCURRENT: '50',
  MAX_CONCURRENT_RETRIES: '5',
  LEASE: '60',
  MAX_RECORD_BYTES: '16777216',
  RETAIN_PAYLOAD: '0',
  RETAIN_LOG: '0',
  ARCHIVE_DIR: '',
  SEGMENT_MESSAGES: '5000000',
  HOST: '127.0.0.1',
  PORT: '8000',
  API_TOKENS: '',
  API_TOKENS_FILE: '',
  API_OPEN: 'false',
  PUBLIC_URL: '',
  API_INTROSPECTION: 'true',
  REASONS: 'optional',
  OTEL_EXPORTER_OTLP_ENDPOINT: '',
  OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: '',
  OTEL_EXPORTER_OTLP_HEADERS: '',
  OTEL_EXPORTER_OTLP_TRACES_HEADERS: '',
  OTEL_EXPORTER_OTLP_PROTOCOL: 'http/protobuf',
  OTEL_EXPORTER_OTLP_TRACES_PROTOCOL: 'http/protobuf',
  OTEL_SERVICE_NAME: 'transaction-queue-proxy',
  OTEL_RESOURCE_ATTRIBUTES: '',
  OTEL_TRACES_SAMPLER: 'parentbased_always_on',
  OTEL_TRACES_SAMPLER_ARG: '1',
  OTEL_TRACES_EXPORTER: 'otlp',
  OTEL_SDK_DISABLED: 'false',
  LOG_LEVEL: 'info',
  DATA_DIR: '.data',
  NODE_ENV: 'development',
  FAILPOINT: '',
} as const

export type SettingName = keyof typeof defaults

/** The variables that the process was started with, unchecked. */
export type Environment = Readonly<Record<string, string>>

/**
 * Reads settings as typed values and collects one sentence for each that cannot be read, so that all faults
 * are reported at once. Meanwhile a faulty setting reads as its default, so that one fault does not cause
 * another.
 */
export class Settings {
  readonly faults: string[] = []
  readonly #environment: Environment

  constructor(environment: Environment) {
    this.#environment = environment
  }

  fault(sentence: string): void {
    this.faults.push(sentence)
  }

  /** The value as it was set; null if it is unset or empty, as compose files make it with `${NAME:-}`. */
  given(name: SettingName): string | null {
    return this.#environment[name] || null
  }

  text(name: SettingName): string {
    return this.given(name) ?? defaults[name]
  }

  /** A name, which white space at its ends would make another one. */
  name(name: SettingName): string {
    const text = this.text(name)
    if (text !== text.trim()) this.fault(`${name} is ${quote(text)}: white space at its ends is part of it.`)
    return text
  }

  flag(name: SettingName): boolean {
    return this.choice(name, ['true', 'false']) === 'true'
  }

  choice<Choice extends string>(name: SettingName, choices: readonly Choice[]): Choice {
    const text = this.text(name)
    const chosen = choices.find((choice) => choice === text)
    if (chosen !== undefined) return chosen
    this.fault(`${name} is ${quote(text)}: it must be one of ${choices.join(', ')}.`)
    return choices.find((choice) => choice === defaults[name]) ?? (choices[0] as Choice)
  }

  /** A whole number from `min` to `max`, in digits. */
  integer(name: SettingName, min: number, max: number): number {
    const value = parseDecimal(this.text(name), /^\d+$/)
    if (value !== null && value >= min && value <= max) return value
    this.fault(`${name} is ${quote(this.text(name))}: it must be a whole number from ${min} to ${max}.`)
    return Number(defaults[name])
  }

  /** A number from `min` to `max`, fractions allowed. */
  number(name: SettingName, min: number, max: number): number {
    const value = parseDecimal(this.text(name), /^\d+(\.\d+)?$/)
    if (value !== null && value >= min && value <= max) return value
    this.fault(`${name} is ${quote(this.text(name))}: it must be a number from ${min} to ${max}.`)
    return Number(defaults[name])
  }

  /**
   * A number of seconds from `minMs` to `maxMs`, fractions allowed; returned in whole milliseconds. What rounds to 0 is not 0, which may mean
   * something else: for ever, or not at all.
   */
  milliseconds(name: SettingName, minMs: number, maxMs: number): number {
    const seconds = parseDecimal(this.text(name), /^\d+(\.\d+)?$/)
    const ms = seconds === null ? null : Math.round(seconds * 1_000)
    const isLost = ms === 0 && seconds !== 0
    if (ms !== null && !isLost && ms >= minMs && ms <= maxMs) return ms
    this.fault(
      `${name} is ${quote(this.text(name))}: it must be a number of seconds from ${minMs / 1_000} to ${maxMs / 1_000}` +
        `${isLost ? ', and 0.001 at least if it is not 0' : ''}.`,
    )
    return Number(defaults[name]) * 1_000
  }

  /**
   * A span of time up to `maxMs`, with its unit: a plain number could be meant as days and be read as seconds. 0 needs none. Returned in
   * whole milliseconds.
   */
  duration(name: SettingName, maxMs: number): number {
    const ms = readSpan(this.text(name))
    if (ms !== null && ms <= maxMs) return ms
    this.fault(
      `${name} is ${quote(this.text(name))}: it must be 0, or a number with its unit (s, m, h or d), like 90d, and at most ${maxMs / 86_400_000}d.`,
    )
    return Number(defaults[name])
  }

  /**
   * A URL with one of the protocols, or null and a fault. The value may hold a password, so the fault does
   * not repeat it.
   */
  url(name: SettingName, protocols: readonly string[]): URL | null {
    const url = URL.canParse(this.text(name)) ? new URL(this.text(name)) : null
    if (url !== null && protocols.includes(url.protocol)) return url
    this.fault(`${name} is not a URL that starts with ${protocols.map((each) => `${each}//`).join(' or ')}.`)
    return null
  }
}

/** Shows a faulty value, which must not be a secret, on one line. */
export function quote(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 60)}…` : text)
}

function parseDecimal(text: string, form: RegExp): number | null {
  return form.test(text) ? Number(text) : null
}
