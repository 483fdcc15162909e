import type { Config } from './config.ts'
import type { Embedded } from './embedded/start-embedded.ts'

/** The first text on a terminal: where everything is, what is embedded, and what to try next. */
export function banner(config: Config, port: number, embedded: Embedded): string {
  const service = `http://${config.api.host}:${port}`
  const { publicUrl } = config.api
  const browsed = publicUrl === null ? service : `${publicUrl.origin}${publicUrl.path}`
  const lines = [
    '',
    `Transaction Queue Proxy   ${service}   (/metrics, /status, /transactions)`,
    `  console      ${browsed}/console   for a browser; /graphql is the playground`,
    `  PostgreSQL   ${config.database.url === null ? `${embedded.databaseUrl}   embedded` : 'as configured'}`,
    `  Kafka        ${config.kafka.brokers?.join(',') ?? `${embedded.brokers}   embedded development broker`}   topic ${config.kafka.topic}`,
    `  processor    ${config.downstream.url === null ? `${embedded.downstreamUrl}   embedded mock, 80 % success` : new URL(config.downstream.url).origin}`,
    `  data         ${embedded.parts.length > 0 ? config.dataDir : 'nothing is embedded'}`,
    '',
    'Try next, in a second shell:',
    '  npm run produce -- --count 1000',
    `  curl ${service}/metrics`,
    `  curl '${service}/transactions?limit=5'`,
    `  npm run verify${config.downstream.url === null ? ` -- --ledger ${config.dataDir}/mock-ledger.jsonl` : ''}`,
    ...(embedded.parts.length > 0 ? secondInstance(config, port, embedded) : []),
    '',
    '',
  ]
  return lines.join('\n')
}

function secondInstance(config: Config, port: number, embedded: Embedded): string[] {
  const settings = [
    `DATABASE_URL=${config.database.url === null ? embedded.databaseUrl : '$DATABASE_URL'}`,
    `KAFKA_BROKER=${config.kafka.brokers?.join(',') ?? embedded.brokers}`,
    `DOWNSTREAM_URL=${config.downstream.url === null ? embedded.downstreamUrl : '$DOWNSTREAM_URL'}`,
    `PORT=${port + 10}`,
  ]
  return ['A second instance on the same parts:', `  ${settings.join(' ')} npm start`]
}
