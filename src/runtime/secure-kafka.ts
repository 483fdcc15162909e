import type { KafkaConfig, SASLOptions } from 'kafkajs'

/** How the wire to Kafka is secured, and who we are on it. */
export type KafkaSecurity = {
  /** The texts of PEM files, each null where Node's own authorities or no client certificate will do; null for no encryption. */
  readonly tls: {
    readonly ca: string | null
    readonly cert: string | null
    readonly key: string | null
  } | null
  readonly sasl: {
    readonly mechanism: 'plain' | 'scram-sha-256' | 'scram-sha-512'
    readonly username: string
    readonly password: string
  } | null
}

/** The part of kafkajs' settings that says so. The broker's certificate and its name are always verified. */
export function secureKafka({ tls, sasl }: KafkaSecurity): Pick<KafkaConfig, 'ssl' | 'sasl'> {
  const ssl = tls !== null && {
    ca: tls.ca ?? undefined,
    cert: tls.cert ?? undefined,
    key: tls.key ?? undefined,
    rejectUnauthorized: true,
  }
  return sasl === null ? { ssl } : { ssl, sasl: sasl as SASLOptions }
}
