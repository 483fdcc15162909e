import type { Tls } from '../runtime/tls.ts'
import { faultUnusedTls, readTls, type ReadFile } from './read-tls.ts'
import type { Settings } from './settings.ts'

export type KafkaConfig = {
  /** Null if no broker is named: the embedded one is started. */
  readonly brokers: string[] | null
  readonly topic: string
  readonly groupId: string
} & KafkaSecurity

/** Encryption and login for the connection to Kafka. */
type KafkaSecurity = {
  /** Null for no encryption. */
  readonly tls: Tls | null
  readonly sasl: KafkaSasl | null
}

type KafkaSasl = {
  readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
  readonly username: string
  readonly password: string
}

const mechanisms = ['plain', 'scram-sha-256', 'scram-sha-512'] as const

export function readKafka(settings: Settings, readFile: ReadFile): KafkaConfig {
  return {
    brokers: settings.given('KAFKA_BROKER') === null ? null : readBrokers(settings),
    topic: readTopic(settings),
    groupId: settings.name('KAFKA_GROUP_ID'),
    ...readSecurity(settings, readFile),
  }
}

export function readBrokers(settings: Settings): string[] {
  const brokers = settings
    .text('KAFKA_BROKER')
    .split(',')
    .map((each) => each.trim())
  if (!brokers.every(isBroker)) {
    settings.fault('KAFKA_BROKER must be a list of host names with ports, such as kafka-1:9092,kafka-2:9092.')
  }
  return brokers
}

function readSecurity(settings: Settings, readFile: ReadFile): KafkaSecurity {
  const tls = readTls(settings, 'KAFKA', readFile)
  const isEncrypted = settings.flag('KAFKA_SSL')
  if (!isEncrypted) faultUnusedTls(settings, 'KAFKA', 'KAFKA_SSL is not true.')
  return { tls: isEncrypted ? tls : null, sasl: readSasl(settings) }
}

/** The rules of Kafka's own `Topic.validate`. */
function readTopic(settings: Settings): string {
  const topic = settings.text('KAFKA_TOPIC')
  if (!/^[A-Za-z0-9._-]{1,249}$/.test(topic) || topic === '.' || topic === '..') {
    settings.fault('KAFKA_TOPIC must be 1 to 249 letters, digits, dots, underscores or hyphens.')
  }
  return topic
}

function isBroker(text: string): boolean {
  const match = /^[^\s:/@[\]]+:(\d{1,5})$/.exec(text)
  return match !== null && Number(match[1]) >= 1 && Number(match[1]) <= 65_535
}

function readSasl(settings: Settings): KafkaSasl | null {
  const all = ['KAFKA_SASL_MECHANISM', 'KAFKA_SASL_USERNAME', 'KAFKA_SASL_PASSWORD'] as const
  const missing = all.filter((name) => settings.given(name) === null)
  if (missing.length === all.length) return null
  if (missing.length > 0)
    settings.fault(`${missing.join(' and ')} must be set too: SASL needs all of ${all.join(', ')}.`)
  const given = settings.text('KAFKA_SASL_MECHANISM').toLowerCase()
  const mechanism = mechanisms.find((each) => each === given)
  if (mechanism === undefined && given !== '') {
    settings.fault(`KAFKA_SASL_MECHANISM must be one of ${mechanisms.join(', ')}.`)
  }
  return {
    mechanism: mechanism ?? 'plain',
    username: settings.text('KAFKA_SASL_USERNAME'),
    password: settings.text('KAFKA_SASL_PASSWORD'),
  }
}
