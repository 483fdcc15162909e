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

// A broker may want the login again after a time (`connections.max.reauth.ms`). A request that comes less than this before its end
// logs in first. With kafkajs' own 10 s, each request would log in if the time is shorter than that, and a broker refuses a second
// login within a second. Each connection of a consumer has a request at least every 2 s.
const reauthenticationThreshold = 3_000

/** The same in kafkajs' settings. */
export function secureKafka({
  tls,
  sasl,
}: KafkaSecurity): Pick<KafkaConfig, 'ssl' | 'sasl' | 'reauthenticationThreshold'> {
  const ssl = tls !== null && tlsOptions(tls)
  return sasl === null ? { ssl } : { ssl, sasl: sasl as SASLOptions, reauthenticationThreshold }
}
