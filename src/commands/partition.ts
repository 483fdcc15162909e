import pg from 'pg'
import { pino } from 'pino'
import { databaseForTools, kafkaForTools } from '../config.ts'
import { readAuthor } from '../config/read-author.ts'
import { createKafka } from '../kafka/connect.ts'
import { readRange, type BrokerRange } from '../kafka/read-range.ts'
import {
  decidePartition,
  type DecisionAnswer,
  type PartitionDecision,
} from '../log/write/decide-partition.ts'
import { connectPatiently } from '../runtime/connect-patiently.ts'
import { prepareSession } from '../runtime/prepare-session.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run partition -- --partition P --accept-gap|--new-incarnation|--retry --reason R [--topic T] [--operator O]

An operator's word on a stopped partition (/status lists them under "stopped", each with what happened). It is recorded with who said
it and why, and the service, if it runs, goes on at once.

  --partition P      which one
  --topic T          of which topic (default: KAFKA_TOPIC)
  --accept-gap       gives up what Kafka deleted or what cannot be decoded, and goes on behind it
  --new-incarnation  the topic was created anew: reads it from its first offset. What was stored stays; what is known already is
                     recorded as a duplicate and not sent again
  --retry            gives up nothing and tries again where it stands: the cause is mended
  --reason R         why, for the log
  --operator O       who decides (default: the user of this shell)
  --help             this text

Ends with 0 if it is decided, 1 if there is nothing to decide, 2 if it could not run.
`

const types = {
  'accept-gap': 'gap_accepted',
  'new-incarnation': 'incarnation_begun',
  retry: 'resumed',
} as const satisfies Record<string, PartitionDecision['type']>

const options = {
  topic: { type: 'string' },
  partition: { type: 'string' },
  'accept-gap': { type: 'boolean', default: false },
  'new-incarnation': { type: 'boolean', default: false },
  retry: { type: 'boolean', default: false },
  reason: { type: 'string' },
  operator: { type: 'string' },
} as const

interface Flags {
  topic?: string | undefined
  partition?: string | undefined
  'accept-gap': boolean
  'new-incarnation': boolean
  retry: boolean
  reason?: string | undefined
  operator?: string | undefined
}

async function run(flags: Flags): Promise<number> {
  connectPatiently()
  const kafka = kafkaForTools()
  const wanted = readDecision(flags, kafka.topic)
  // Whoever only tries again needs no broker's word.
  const range = wanted.type === 'resumed' ? null : await askBroker(kafka, wanted)
  const database = new pg.Pool({
    ...databaseForTools(),
    max: 1,
    connectionTimeoutMillis: 5_000,
    application_name: 'transaction-queue-proxy partition',
    onConnect: (client) => prepareSession(client, null) as unknown as undefined,
  })
  database.on('error', () => undefined)
  try {
    const decision = { ...wanted, range }
    const answer = await decidePartition(database, decision)
    process.stdout.write(`${explain(decision, answer)}\n`)
    return answer.kind === 'decided' ? exitCodes.done : exitCodes.differs
  } finally {
    await database.end()
  }
}

function readDecision(flags: Flags, topicByDefault: string): Omit<PartitionDecision, 'range'> {
  const { topic = topicByDefault, partition = '' } = flags
  const [type, ...more] = (['accept-gap', 'new-incarnation', 'retry'] as const).filter((each) => flags[each])
  if (!/^\d{1,9}$/.test(partition)) throw new Error('--partition must be the number of the partition.')
  if (type === undefined || more.length > 0)
    throw new Error('Exactly one of --accept-gap, --new-incarnation and --retry says what to do.')
  const { operator, reason } = readAuthor(flags)
  return { topic, partition: Number(partition), type: types[type], actor: operator, reason }
}

async function askBroker(
  kafka: ReturnType<typeof kafkaForTools>,
  { topic, partition }: Omit<PartitionDecision, 'range'>,
): Promise<BrokerRange> {
  try {
    return await readRange(createKafka(kafka, 'partition', pino({ level: 'silent' })), topic, partition)
  } catch (cause) {
    const reason = reasonOf(cause)
    throw new Error(`Kafka at ${kafka.brokers.join(',')} does not say what it has of ${topic}: ${reason}.`, {
      cause,
    })
  }
}

function explain(decision: PartitionDecision, answer: DecisionAnswer): string {
  const { topic, partition, type, actor, reason } = decision
  const name = `${topic}:${partition}`
  switch (answer.kind) {
    case 'not_stopped':
      return `${name} is not stopped: there is nothing to decide.`
    case 'no_gap':
      return `${name} has no gap: the broker has offset ${answer.stoodAt}, and what follows. It was stopped because: ${answer.stoppedBy}`
    case 'beyond':
      return (
        `${name} cannot go on at ${answer.goesOnAt}: it stands at ${answer.stoodAt}, and the broker ends at ` +
        `${decision.range?.high ?? 'no offset'}. If the topic was created anew, use --new-incarnation.`
      )
    case 'decided':
      return `${name} goes on at offset ${answer.goesOnAt}${consequence(type, answer)}. Recorded as decided by ${actor}: ${reason}`
  }
}

function consequence(
  type: PartitionDecision['type'],
  { stoodAt, goesOnAt }: Extract<DecisionAnswer, { kind: 'decided' }>,
): string {
  switch (type) {
    case 'resumed':
      return ', where it stood'
    case 'gap_accepted':
      return `; ${goesOnAt - stoodAt} offsets are given up, ${stoodAt} to ${goesOnAt - 1n}`
    case 'incarnation_begun':
      return ' of its new incarnation'
  }
}

process.exitCode = await runCommand({ usage, options, run })
