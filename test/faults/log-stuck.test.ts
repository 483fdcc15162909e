import { execFileSync } from 'node:child_process'
import { closeSync, constants, createReadStream, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t from 'tap'
import { produce } from '../../src/kafka/test-topic/produce.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { readMetric, startReadyService } from '../support/service.ts'
import { mountSmallDisk, withoutMount } from '../support/small-disk.ts'
import { until } from '../support/until.ts'

t.jobs = 2

const metric = 'tqp_log_lines_dropped_total'

type Told = { event: string; lines?: number }

/** How many lines the log says that it dropped; some may have been since the metric was asked. */
function countTold(told: readonly Told[]): number {
  return told.reduce((sum, { lines }) => sum + (lines ?? 0), 0)
}

/** Payments whose lines are long: more of them than the log keeps when it cannot be written. */
async function produceLong(line: Line): Promise<number> {
  const count = 5_000
  // JSON writes two characters for each of these.
  const prefix = 'tx'.padEnd(240, '"')
  const { fault } = await produce({ ...line, count, rate: null, prefix })
  if (fault !== null) throw fault
  return count
}

/** A pipe with a reader that does not read. */
function openPipe(path: string): number {
  execFileSync('mkfifo', [path])
  return openSync(path, constants.O_RDWR)
}

t.test(
  'a full disk below the log holds up no payment, and the log goes on when there is room',
  { buffered: true, skip: withoutMount },
  async (t) => {
    const disk = mountSmallDisk(t, 16)
    const path = join(disk.path, 'service.log')
    const log = openSync(path, 'a')
    t.teardown(() => closeSync(log))
    const line = await setUpLine(t, ['--success', '1'])
    const service = await startReadyService(t, { ...line.settings, MAX_CONCURRENT: '500' }, log)
    await until('the start to be told', () => readFileSync(path, 'utf8').includes('"started"'))
    disk.fill()
    const count = await produceLong(line)
    await line.settled(count)
    t.ok((await fetch(`${service.url}/healthz`)).ok, 'it lives')
    const dropped = await readMetric(service, metric)
    t.ok(dropped > 0, `${dropped} lines were dropped`)

    disk.free()
    const read = () => {
      const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
      return lines.map((text) => JSON.parse(text) as Told)
    }
    await until('the line that tells of it', () => countTold(read()) >= dropped)
    await line.produce(1)
    await line.settled(count + 1)
    disk.fill()
    service.kill('SIGTERM')
    t.equal(await service.ended, 0, 'a full disk holds up no drain either')
    await line.isClean(t)
  },
)

t.test('a pipe that nobody reads holds up no payment and no drain', { buffered: true }, async (t) => {
  const path = join(t.testdir(), 'pipe')
  const pipe = openPipe(path)
  const line = await setUpLine(t, ['--success', '1'])
  const service = await startReadyService(t, { ...line.settings, MAX_CONCURRENT: '500' }, pipe)
  const count = await produceLong(line)
  await line.settled(count)
  t.ok((await fetch(`${service.url}/healthz`)).ok, 'it lives')
  const dropped = await readMetric(service, metric)
  t.ok(dropped > 0, `${dropped} lines were dropped`)

  const reader = createReadStream(path)
  const told: Told[] = []
  createInterface({ input: reader }).on('line', (text) => told.push(JSON.parse(text) as Told))
  await until('a reader to be told of it', () => countTold(told) >= dropped)
  reader.destroy()
  await produce({ ...line, count: 500, rate: null, prefix: 'ty'.padEnd(240, '-') })
  await line.settled(count + 500)
  service.kill('SIGTERM')
  t.equal(await service.ended, 0)
  closeSync(pipe)
})

t.test('a pipe whose reader is gone holds up no payment and no drain', { buffered: true }, async (t) => {
  const pipe = openPipe(join(t.testdir(), 'pipe'))
  const line = await setUpLine(t, ['--success', '1'])
  const service = await startReadyService(t, line.settings, pipe)
  closeSync(pipe)
  await line.produce(200)
  await line.settled(200)
  service.kill('SIGTERM')
  t.equal(await service.ended, 0)
  await line.isClean(t)
})
