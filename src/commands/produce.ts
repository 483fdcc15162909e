import { kafkaForTools } from '../config.ts'
import { produce, type ProduceOptions } from '../kafka/test-topic/produce.ts'
import { recorded } from './record-command.ts'
import { exitCodes, runCommand } from './run-command.ts'

const usage = `Usage: npm run produce -- [--count N] [--rate R] [--brokers B] [--topic T] [--prefix P] [--acks F]

Sends test transactions to a Kafka topic, and creates the topic if it is missing.

  --count N    how many (default 100); 0 only creates the topic
  --rate R     how many a second (default: as fast as possible)
  --brokers B  host:port, or a comma-separated list of them (default: KAFKA_BROKER, else the embedded broker)
  --topic T    the topic (default: KAFKA_TOPIC)
  --prefix P   uses the ids P-1 to P-N; a record's bytes depend on its id alone, so a second run makes duplicates
               (default: ids that no other run has)
  --acks F     adds a JSON line to F for each record that the broker acknowledged
  --help       this text

Ends with 0 if all records are acknowledged, 1 if any is not, 2 if it could not run.
`

interface Flags {
  count: string
  rate?: string | undefined
  brokers?: string | undefined
  topic?: string | undefined
  prefix?: string | undefined
  acks?: string | undefined
}

async function run(flags: Flags): Promise<number> {
  const options = readOptions(flags)
  const { acknowledged, elapsedMs, fault } = await produce({
    ...options,
    onProgress: showProgress(options.count),
  })
  const rate = Math.round((acknowledged / Math.max(elapsedMs, 1)) * 1000)
  const count = `${acknowledged} of ${options.count} acknowledged on ${options.topic}`
  process.stderr.write(
    fault === null
      ? `${count} in ${(elapsedMs / 1000).toFixed(1)} s, ${rate} a second\n`
      : `Only ${count}: ${fault.message}.\n`,
  )
  return fault === null ? exitCodes.done : exitCodes.differs
}

function readOptions(values: Flags): ProduceOptions {
  const count = Number(values.count)
  if (!Number.isSafeInteger(count) || count < 0)
    throw new Error(`--count must be a whole number, not ${values.count}.`)
  const rate = values.rate === undefined ? null : Number(values.rate)
  if (rate !== null && !(rate > 0 && rate < Infinity))
    throw new Error(`--rate must be a number above 0, not ${values.rate ?? ''}.`)
  const kafka = kafkaForTools()
  return {
    brokers: values.brokers?.split(',').map((broker) => broker.trim()) ?? kafka.brokers,
    security: kafka,
    topic: values.topic ?? kafka.topic,
    count,
    rate,
    prefix: values.prefix ?? null,
    acksPath: values.acks ?? null,
  }
}

/** On a terminal a bar that is drawn again in the same line; otherwise at most one line a second. */
function showProgress(count: number): (acknowledged: number) => void {
  const terminal = process.stderr.isTTY
  const everyMs = terminal ? 100 : 1000
  let nextMs = performance.now() + everyMs
  return (acknowledged) => {
    if (performance.now() < nextMs && acknowledged < count) return
    nextMs = performance.now() + everyMs
    const filled = Math.floor((acknowledged / count) * 40)
    const bar = `\r${'█'.repeat(filled)}${'░'.repeat(40 - filled)} ${acknowledged}/${count}\x1b[K`
    if (terminal) process.stderr.write(acknowledged < count ? bar : `${bar}\n`)
    else if (acknowledged < count) process.stderr.write(`${acknowledged} of ${count} acknowledged\n`)
  }
}

process.exitCode = await runCommand(
  recorded('produce', {
    usage,
    options: {
      count: { type: 'string', default: '100' },
      rate: { type: 'string' },
      brokers: { type: 'string' },
      topic: { type: 'string' },
      prefix: { type: 'string' },
      acks: { type: 'string' },
    },
    run,
  }),
)
