import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import { Kafka, logLevel, type Admin } from 'kafkajs'
import t, { type Test } from 'tap'
import { setUpLine, type Line } from '../support/line.ts'
import { readMetric, startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

const entry = fileURLToPath(new URL('../../src/commands/partition.ts', import.meta.url))

t.test('an operator decides by the command, and the service goes on with no restart', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const admin = await administer(t, line)
  const before = await startReadyService(t, line.settings)
  await line.produce(30)
  await line.settled(30)
  before.kill('SIGTERM')
  await before.ended
  await line.produce(30)
  const [lost] = (await admin.fetchTopicOffsets(line.topic)).filter(({ partition }) => partition === 0)
  const { high, low } = lost!
  await deleteAll(line, admin, high)

  const service = await startReadyService(t, line.settings)
  await until('partition 0 to be stopped', async () => (await readStopped(service)).length === 1)
  const [{ reason } = { reason: '' }] = await readStopped(service)
  t.match(
    reason,
    new RegExp(`the broker's first offset is ${high}: .*--topic ${line.topic} --partition 0 --accept-gap`),
  )
  t.equal(await readMetric(service, 'tqp_stopped_partitions'), 1)
  t.equal((await fetch(`${service.url}/status`)).status, 200, 'the service as a whole is well')

  await t.test('a word that makes no sense is refused with a sentence', async (t) => {
    for (const [flags, code, said] of [
      [['--partition', '1', '--retry', '--reason', 'x'], 1, /:1 is not stopped: there is nothing to decide/],
      [['--partition', '0', '--accept-gap'], 2, /--reason must be/],
      [['--partition', 'a', '--accept-gap', '--reason', 'x'], 2, /--partition must be/],
      [['--partition', '0', '--reason', 'x'], 2, /Give exactly one of/],
      [['--partition', '0', '--retry', '--accept-gap', '--reason', 'x'], 2, /Give exactly one of/],
      [
        ['--partition', '0', '--accept-gap', '--reason', 'x', '--topic', 'no.such'],
        2,
        /does not tell the offsets of/,
      ],
      [['--partition', '0', '--gap'], 2, /--help/],
    ] as const) {
      const ran = await decide(line, flags)
      t.match(ran, { code, output: said }, flags.join(' '))
    }
  })

  const ran = await decide(line, ['--partition', '0', '--accept-gap', '--reason', 'the archive has them'])
  t.match(ran, { code: 0, output: new RegExp(`continues at offset ${high}; \\d+ offsets are given up`) })
  await until('the service to go on', async () => (await readStopped(service)).length === 0)
  await until('its line', async () => service.log.some(({ event }) => event === 'partition goes on'))
  const { rows } = await line.pool.query<{ given_up: number }>(
    `select (resume_offset - next_offset)::int as given_up from partition_decisions where type = 'gap_accepted' and actor = $1`,
    [userInfo().username],
  )
  const givenUp = rows[0]!.given_up
  t.ok(givenUp > 0 && givenUp < Number(high) - Number(low))
  await line.produce(30)
  await line.settled(90 - givenUp)
  await line.isClean(t)
})

t.test('a topic that was created anew is read as its next incarnation while the service runs', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const admin = await administer(t, line)
  const service = await startReadyService(t, line.settings)
  await line.produce(30)
  await line.settled(30)
  await admin.deleteTopics({ topics: [line.topic] })
  await until('the missing topic to be told', async () => {
    const status = await fetch(`${service.url}/status`)
    return status.status === 503 && /Kafka has no such topic/.test(await status.text())
  })
  t.notOk((await admin.listTopics()).includes(line.topic), 'the service does not make it')
  await line.produce(0)
  await until('every partition to be stopped', async () => (await readStopped(service)).length === 3)
  for (const partition of [0, 1, 2]) {
    const ran = await decide(line, [
      ...['--partition', String(partition), '--new-incarnation', '--operator', 'bob'],
      ...['--reason', 'the topic was deleted by mistake'],
    ])
    t.match(ran, { code: 0, output: /continues at offset 0 of its new incarnation.* decided by bob: / })
  }
  await until('the service to go on', async () => (await readStopped(service)).length === 0)
  await line.produce(30)
  await line.settled(60)
  await line.isSentOnce(t)
  await line.isClean(t)
})

async function administer(t: Pick<Test, 'teardown'>, line: Line): Promise<Admin> {
  const brokers = line.settings.KAFKA_BROKER!.split(',')
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
  await admin.connect()
  t.teardown(() => admin.disconnect())
  return admin
}

/** As retention does with an idle partition. */
async function deleteAll({ topic }: Line, admin: Admin, offset: string): Promise<void> {
  await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset }] })
}

async function readStopped(service: Service): Promise<{ partition: number; reason: string }[]> {
  const status = (await (await fetch(`${service.url}/status`)).json()) as {
    stopped: { partition: number; reason: string }[] | null
  }
  return status.stopped ?? []
}

async function decide(
  line: Line,
  flags: readonly string[],
): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), entry, ...flags], {
    env: { PATH: process.env.PATH, ...line.settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return { code, output }
}
