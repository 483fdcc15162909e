import type { KafkaConfig, SASLOptions } from 'kafkajs'
import { tlsOptions, type Tls } from '../runtime/tls.ts'

/** Encryption and login for the connection to Kafka. */
export type KafkaSecurity = {
  /** Null for no encryption. */
  readonly tls: Tls | null
  readonly sasl: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: string
  } | null
}

/** The same in kafkajs' settings. */
export function secureKafka({ tls, sasl }: KafkaSecurity): Pick<KafkaConfig, 'ssl' | 'sasl'> {
  const ssl = tls !== null && tlsOptions(tls)
  return sasl === null ? { ssl } : { ssl, sasl: sasl as SASLOptions }
}
