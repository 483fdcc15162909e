import { pino } from 'pino'
import { databaseForTools, kafkaForTools } from '../config.ts'
import { readAuthor } from '../config/read-author.ts'
import { createKafka } from '../kafka/connect.ts'
import { readRange, type BrokerRange } from '../kafka/read-range.ts'
import {
  decidePartition,
  type PartitionAnswer,
  type PartitionDecision,
} from '../log/write/decide-partition.ts'
import { connectPatiently } from '../runtime/connect-patiently.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { createToolPool } from '../runtime/tool-sessions.ts'
import { explainDatabase } from './explain-database.ts'
import { recorded } from './record-command.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run partition -- --partition P --accept-gap|--new-incarnation|--retry --reason R [--topic T] [--operator O]

Decides how a stopped partition continues. /status lists the stopped partitions under "stopped", each with the reason. The decision is
recorded with its operator and reason. A running service continues the partition at once.

  --partition P      the partition's number
  --topic T          its topic (default: KAFKA_TOPIC)
  --accept-gap       gives up records that Kafka deleted or that cannot be decoded, and continues after them
  --new-incarnation  the topic was created again: reads it from its first offset. What was stored stays. A transaction that is already
                     known is recorded as a duplicate and not sent again
  --retry            gives up nothing and tries again at the same offset, once the cause is repaired
  --reason R         why, for the log
  --operator O       who decides (default: the user of this shell)
  --help             this text

Ends with 0 if the decision is recorded, 1 if there is nothing to decide, 2 if it could not run.
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
  // A retry does not depend on the broker's range.
  const range = wanted.type === 'resumed' ? null : await askBroker(kafka, wanted)
  const database = createToolPool('partition', databaseForTools())
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
    throw new Error('Give exactly one of --accept-gap, --new-incarnation and --retry.')
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
    throw new Error(`Kafka at ${kafka.brokers.join(',')} does not tell the offsets of ${topic}: ${reason}.`, {
      cause,
    })
  }
}

function explain(decision: PartitionDecision, answer: PartitionAnswer): string {
  const { topic, partition, type, actor, reason } = decision
  const name = `${topic}:${partition}`
  switch (answer.kind) {
    case 'not_stopped':
      return `${name} is not stopped: there is nothing to decide.`
    case 'no_gap':
      return `${name} has no gap: the broker has offset ${answer.stoodAt} and the records after it. It was stopped because: ${answer.stoppedBy}`
    case 'beyond':
      return (
        `${name} cannot continue at ${answer.goesOnAt}: its next offset is ${answer.stoodAt}, and the broker ends at ` +
        `${decision.range?.high ?? 'no offset'}. If the topic was created again, use --new-incarnation.`
      )
    case 'decided':
      return `${name} continues at offset ${answer.goesOnAt}${consequence(type, answer)}. Recorded as decided by ${actor}: ${reason}`
  }
}

function consequence(
  type: PartitionDecision['type'],
  { stoodAt, goesOnAt }: Extract<PartitionAnswer, { kind: 'decided' }>,
): string {
  switch (type) {
    case 'resumed':
      return ', where it stopped'
    case 'gap_accepted':
      return `; ${goesOnAt - stoodAt} offsets are given up, ${stoodAt} to ${goesOnAt - 1n}`
    case 'incarnation_begun':
      return ' of its new incarnation'
  }
}

process.exitCode = await runCommand(recorded('partition', { usage, options, run, explain: explainDatabase }))
