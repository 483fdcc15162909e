import type { KafkaConfig, SASLOptions } from 'kafkajs'
import { tlsOptions, type Tls } from '../runtime/tls.ts'

/** How the wire to Kafka is secured, and who we are on it. */
export type KafkaSecurity = {
  /** Null for no encryption. */
  readonly tls: Tls | null
  readonly sasl: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: string
  } | null
}

/** The part of kafkajs' settings that says so. */
export function secureKafka({ tls, sasl }: KafkaSecurity): Pick<KafkaConfig, 'ssl' | 'sasl'> {
  const ssl = tls !== null && tlsOptions(tls)
  return sasl === null ? { ssl } : { ssl, sasl: sasl as SASLOptions }
}
