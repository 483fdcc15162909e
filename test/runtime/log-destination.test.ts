import { openSync, closeSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { LogDestination } from '../../src/runtime/log-destination.ts'
import { openFile } from '../../src/runtime/sink.ts'
import { mountSmallDisk, withoutMount } from '../support/small-disk.ts'
import { until } from '../support/until.ts'

const line = (text: string) => `${text.padEnd(99, '.')}\n`

function openLog(t: Test, path: string, waitingLengthMax: number) {
  const file = openSync(path, 'a')
  t.teardown(() => closeSync(file))
  let dropped = 0
  const destination: LogDestination = new LogDestination(openFile(file), {
    onDrop: () => dropped++,
    onRoom: (lines) => destination.write(line(`${lines} were dropped`)),
    waitingLengthMax,
  })
  const read = () => readFileSync(path, 'utf8').split('\n').slice(0, -1)
  return { destination, read, dropped: () => dropped }
}

t.test('what waits is written within a moment, and in order, whoever ends the process', async (t) => {
  const path = join(t.testdir(), 'log')
  const { destination, read, dropped } = openLog(t, path, 1_000_000)
  for (let at = 0; at < 1_000; at++) destination.write(`${at}\n`)
  await until('all lines', () => read().length === 1_000)
  t.strictSame(
    read(),
    Array.from({ length: 1_000 }, (_, at) => String(at)),
  )
  destination.write('flushed\n')
  await destination.flush()
  t.equal(read().at(-1), 'flushed')
  destination.write('last\n')
  destination.flushSync()
  t.equal(read().at(-1), 'last')
  t.equal(dropped(), 0)
})

t.test(
  'on a full disk lines wait in their space, the others are counted, and all are told when there is room',
  { skip: withoutMount },
  async (t) => {
    const disk = mountSmallDisk(t, 1)
    const { destination, read, dropped } = openLog(t, join(disk.path, 'log'), 50_000)
    destination.write(line('before'))
    await until('the first line', () => read().length === 1)
    disk.fill()
    // What is being written takes no room of what waits.
    for (let at = 0; at < 2_000; at++) destination.write(line(`${at}`))
    const kept = 2_000 - dropped()
    t.ok(dropped() >= 1_000 && kept >= 500, `${kept} kept`)
    await destination.flush()
    destination.flushSync()
    t.notOk(destination.hangs, 'the end of the process need not wait for it')
    disk.free()
    const told = line(`${dropped()} were dropped`).trimEnd()
    await until('the line that tells', () => read().includes(told))
    destination.write(line('after'))
    await until('the last line', () => read().at(-1)?.startsWith('after') === true)
    const expected = ['before', ...Array.from({ length: kept }, (_, at) => `${at}`)].map((text) =>
      line(text).trimEnd(),
    )
    t.strictSame(read().slice(0, kept + 1), expected, 'each line is whole and in its place')
    t.equal(read()[kept + 1], told)
    t.equal(read().length, kept + 3)
  },
)
