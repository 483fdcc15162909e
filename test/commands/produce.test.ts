import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Kafka, logLevel } from 'kafkajs'
import t, { type Test } from 'tap'
import { produce } from '../../src/kafka/test-topic/produce.ts'
import { testTransaction } from '../../src/kafka/test-topic/test-transaction.ts'
import { startBroker } from '../support/broker.ts'
import { program } from '../support/program.ts'

const broker = await startBroker(t)
const brokers = broker.brokers.join(',')
const folder = await mkdtemp(join(tmpdir(), 'produce-'))
t.teardown(() => rm(folder, { recursive: true }))

interface Acknowledgement {
  topic: string
  partition: number
  offset: number
  transaction_id: string
  sha256: string
}

t.test('a test transaction is JSON of the founding shape, and a function of its id alone', (t) => {
  const bytes = testTransaction('P-1')
  t.same(testTransaction('P-1'), bytes)
  t.notSame(testTransaction('P-2'), bytes)
  const parsed = JSON.parse(bytes.toString()) as Record<string, unknown>
  t.same(Object.keys(parsed), ['transaction_id', 'user_id', 'amount', 'currency', 'timestamp', 'source'])
  t.match(parsed, { transaction_id: 'P-1', amount: Number, currency: /^[A-Z]{3}$/, timestamp: /^2024-.*Z$/ })
  t.end()
})

t.test('every acknowledgement names the place, id and hash of a record that is really there', async (t) => {
  const acks = join(folder, 'acks.jsonl')
  const args = ['--brokers', brokers, '--topic', 'acks', '--count', '1200', '--acks', acks]
  const ran = await run(args)
  t.match(ran, { code: 0, errors: /^1200 of 1200 acknowledged on acks in \d/m })
  const lines = await readAcks(acks)
  t.equal(lines.length, 1200)
  const stored = await readAll(t, 'acks', 1200)
  for (const { partition, offset, transaction_id, sha256 } of lines) {
    const value = stored.get(`${partition}/${offset}`)
    if (value === undefined) t.fail(`nothing is at ${partition}/${offset}`)
    else if (createHash('sha256').update(value).digest('hex') !== sha256)
      t.fail(`${transaction_id} has other bytes`)
    else if (!value.includes(`"${transaction_id}"`)) t.fail(`${transaction_id} is not what is there`)
  }
  t.match(await run([...args, '--count', '3']), { code: 0 })
  const all = await readAcks(acks)
  t.equal(all.length, 1203, 'a second run adds its lines')
  t.equal(new Set(all.map(({ transaction_id }) => transaction_id)).size, 1203, 'and its ids are its own')
})

t.test('with a prefix a second run sends the same ids and bytes again', async (t) => {
  const acksPath = join(folder, 'twice.jsonl')
  const options = { brokers: broker.brokers, topic: 'twice', count: 5, rate: null, prefix: 'P', acksPath }
  t.match(await produce(options), { acknowledged: 5, fault: null })
  t.match(await produce(options), { acknowledged: 5, fault: null })
  const hashes = (await readAcks(acksPath)).map(({ transaction_id, sha256 }) => `${transaction_id} ${sha256}`)
  t.same(hashes.slice(5), hashes.slice(0, 5))
  t.match(hashes, [/^P-1 /, /^P-2 /, /^P-3 /, /^P-4 /, /^P-5 /])
})

t.test('a rate is kept: no record leaves before it is due', async (t) => {
  const acknowledged: number[] = []
  const startedAt = performance.now()
  const produced = await produce({
    brokers: broker.brokers,
    topic: 'paced',
    count: 30,
    rate: 100,
    prefix: null,
    acksPath: null,
    onProgress: (count) => {
      // The first of a send is due by now, and a send is at most a twentieth of a second's records.
      const dueByNow = ((performance.now() - startedAt) / 1000) * 100
      if (count > dueByNow + 5) t.fail(`${count} were sent when ${dueByNow} were due`)
      acknowledged.push(count)
    },
  })
  t.equal(produced.acknowledged, 30)
  t.ok(acknowledged.length >= 2, 'in more than one send')
})

t.test('what is wrong with the command line is said in one line, and ends with 2', async (t) => {
  const refused: [string[], RegExp][] = [
    [['--cuont', '3'], /^Unknown option '--cuont'; --help lists the flags\.$/m],
    [['7'], /^Unexpected argument '7'/],
    [['--count', '0.5'], /^--count must be a whole number, not 0\.5\.$/m],
    [['--count', '1e99'], /^--count must be/],
    [['--rate', 'fast'], /^--rate must be a number above 0, not fast\.$/m],
  ]
  for (const [args, sentence] of refused) {
    const { code, errors } = await run([...args, '--brokers', brokers])
    t.equal(code, 2, args.join(' '))
    t.match(errors, sentence)
    t.equal(errors.trimEnd().split('\n').length, 1)
  }
  t.match(await run(['--help']), { code: 0, output: /^Usage: npm run produce/ })
})

t.test(
  'a broker that is killed and comes back is waited for, and every record is acknowledged',
  async (t) => {
    const flaky = await startBroker(t)
    let restarted: Promise<void> | undefined
    const produced = await produce({
      brokers: flaky.brokers,
      topic: 'flaky',
      count: 5000,
      rate: null,
      prefix: null,
      acksPath: join(folder, 'flaky.jsonl'),
      onProgress: (acknowledged) => {
        if (acknowledged >= 2000) restarted ??= flaky.restart()
      },
    })
    await restarted
    t.match(produced, { acknowledged: 5000, fault: null })
    t.equal((await readAcks(join(folder, 'flaky.jsonl'))).length, 5000)
  },
)

t.test('records that nobody acknowledged end the command with 1', async (t) => {
  const gone = await startBroker(t)
  await gone.kill('SIGKILL')
  t.match(await run(['--brokers', gone.brokers.join(','), '--count', '3', '--topic', 'gone']), {
    code: 1,
    errors: /^Only 0 of 3 acknowledged on gone: .*ECONNREFUSED/,
  })
})

async function run(args: string[]): Promise<{ code: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, [...program('commands/produce'), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output: string[] = []
  const errors: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text))
  await once(child, 'close')
  return { code: child.exitCode, output: output.join(''), errors: errors.join('') }
}

async function readAcks(path: string): Promise<Acknowledgement[]> {
  const lines = (await readFile(path, 'utf8')).trimEnd().split('\n')
  return lines.map((line) => JSON.parse(line) as Acknowledgement)
}

async function readAll(t: Test, topic: string, count: number): Promise<Map<string, string>> {
  const consumer = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING }).consumer({
    groupId: 'all',
  })
  t.teardown(() => consumer.disconnect())
  const stored = new Map<string, string>()
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await new Promise<void>((resolve, reject) => {
    consumer
      .run({
        eachMessage: async ({ partition, message }) => {
          stored.set(`${partition}/${message.offset}`, String(message.value))
          if (stored.size === count) resolve()
        },
      })
      .catch(reject)
  })
  return stored
}
