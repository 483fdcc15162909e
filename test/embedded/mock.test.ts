import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { appendFile } from 'node:fs/promises'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import type { Entry } from '../../src/embedded/mock/ledger.ts'
import { startMock, type Mock } from '../support/mock.ts'
import { program } from '../support/program.ts'
import { until } from '../support/until.ts'

async function post(
  mock: Mock,
  key: string | null,
  body: string,
): Promise<{ status: number; text: string; headers: Headers }> {
  const headers = { 'Content-Type': 'application/json', ...(key === null ? {} : { 'Idempotency-Key': key }) }
  const response = await fetch(mock.url, { method: 'POST', headers, body, redirect: 'manual' })
  return { status: response.status, text: await response.text(), headers: response.headers }
}

function readLedger(mock: Mock): Entry[] {
  const lines = readFileSync(mock.ledgerPath, 'utf8').split('\n')
  return lines.filter((line) => line !== '').map((line) => JSON.parse(line) as Entry)
}

const transaction = (id: string) => JSON.stringify({ transaction_id: id, amount: 1 })

t.test('a repeat of a success answers the same bytes and has no second effect', async (t) => {
  const mock = await startMock(t, ['--success', '1'])
  const first = await post(mock, 'key-1', transaction('tx-1'))
  const second = await post(mock, 'key-1', transaction('tx-1'))
  t.equal(first.status, 200)
  t.same([second.status, second.text], [first.status, first.text])
  t.same(
    readLedger(mock).map(({ effect }) => effect),
    [true, false],
  )
})

t.test('each request leaves one ledger line with its key, id, body hash, effect and status', async (t) => {
  const mock = await startMock(t, ['--success', '1'])
  await post(mock, 'key-1', transaction('tx-1'))
  await post(mock, null, 'not json')
  const lines = readLedger(mock)
  const sha256 = createHash('sha256').update(transaction('tx-1')).digest('hex')
  t.match(lines[0], { key: 'key-1', transaction_id: 'tx-1', sha256, effect: true, status: 200 })
  t.match(lines[1], { key: null, transaction_id: null, effect: true, status: 200 })
  t.same(Object.keys(lines[0]!), ['at', 'key', 'transaction_id', 'sha256', 'effect', 'status'])
  t.equal(lines.length, 2)
})

t.test(
  'other bytes under a known key get 422 and no effect, whether the first succeeded or failed',
  async (t) => {
    for (const success of ['0', '1']) {
      const mock = await startMock(t, ['--success', success])
      await post(mock, 'key-1', transaction('tx-1'))
      t.equal((await post(mock, 'key-1', transaction('tx-2'))).status, 422)
      t.match(readLedger(mock)[1], { effect: false, status: 422 })
    }
  },
)

t.test('of twenty requests at once under one key, one has the effect', async (t) => {
  const mock = await startMock(t, ['--success', '1', '--latency', '20'])
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => post(mock, 'key-1', transaction('tx-1'))),
  )
  t.equal(new Set(answers.map((answer) => answer.text)).size, 1)
  t.equal(readLedger(mock).filter(({ effect }) => effect).length, 1)
})

t.test('after SIGKILL and a torn last line, a restart on the ledger honours the keys of old', async (t) => {
  const first = await startMock(t, ['--success', '1'])
  const before = await post(first, 'key-1', transaction('tx-1'))
  await first.kill()
  await appendFile(first.ledgerPath, '{"at":"2026-01-01T00:00:00.000Z","key":"ke')
  const second = await startMock(t, ['--success', '1', '--ledger', first.ledgerPath])
  const after = await post(second, 'key-1', transaction('tx-1'))
  t.equal(after.text, before.text)
  t.same(
    readLedger(second).map(({ key, effect }) => [key, effect]),
    [
      ['key-1', true],
      ['key-1', false],
    ],
  )
})

t.test('four of five requests succeed by default and the others get 503', async (t) => {
  const mock = await startMock(t, ['--seed', 'any'])
  const answers = await Promise.all(
    Array.from({ length: 500 }, (_, n) => post(mock, `key-${n}`, transaction(`tx-${n}`))),
  )
  const successes = answers.filter(({ status }) => status === 200).length
  t.ok(successes > 350 && successes < 450, `${successes} of 500`)
  t.same([...new Set(answers.map(({ status }) => status))].sort(), [200, 503])
})

t.test('the same seed gives the same fates whatever the order, and another seed gives others', async (t) => {
  const fates = async (seed: string, numbers: number[]) => {
    const mock = await startMock(t, ['--success', '0.5', '--seed', seed])
    const statuses: number[] = []
    for (const n of numbers) statuses[n] = (await post(mock, `key-${n}`, transaction(`tx-${n}`))).status
    return statuses.join()
  }
  const numbers = Array.from({ length: 40 }, (_, n) => n)
  const once = await fates('a', numbers)
  t.equal(await fates('a', numbers.toReversed()), once)
  t.not(await fates('b', numbers), once)
})

t.test('a key that failed can succeed when it comes again', async (t) => {
  const mock = await startMock(t, ['--success', '0.5', '--seed', 'again'])
  const statuses: number[] = []
  while (!statuses.includes(200)) statuses.push((await post(mock, 'key-1', transaction('tx-1'))).status)
  while (!statuses.includes(503))
    statuses.push((await post(mock, `key-${statuses.length}`, transaction('tx-1'))).status)
  t.same([...new Set(statuses)].sort(), [200, 503])
})

t.test(
  'a fixed status is answered to all, with Retry-After if one is asked for, and only 2xx has an effect',
  async (t) => {
    const refusing = await startMock(t, ['--status', '429', '--retry-after=-5'])
    const refused = await post(refusing, 'key-1', transaction('tx-1'))
    t.same([refused.status, refused.headers.get('retry-after')], [429, '-5'])
    t.equal(readLedger(refusing)[0]?.effect, false)
    const accepting = await startMock(t, ['--status', '204'])
    const accepted = await post(accepting, 'key-1', transaction('tx-1'))
    t.same([accepted.status, accepted.text], [204, ''])
    t.equal(readLedger(accepting)[0]?.effect, true)
  },
)

t.test('a lost answer leaves its effect behind, and the repeat answers it', async (t) => {
  const mock = await startMock(t, ['--success', '0', '--lost-answers', '1'])
  await t.rejects(post(mock, 'key-1', transaction('tx-1')))
  t.match(readLedger(mock), [{ effect: true, status: 200 }])
  await mock.stop()
  const next = await startMock(t, ['--success', '0', '--ledger', mock.ledgerPath])
  t.equal((await post(next, 'key-1', transaction('tx-1'))).status, 200)
})

t.test('a request that is never answered or reset leaves a line with status 0 and no effect', async (t) => {
  const hanging = await startMock(t, ['--hang', '1'])
  const abort = new AbortController()
  const request = fetch(hanging.url, { method: 'POST', body: transaction('tx-1'), signal: abort.signal })
  while (readLedger(hanging).length === 0) await new Promise(setImmediate)
  abort.abort()
  await t.rejects(request)
  t.match(readLedger(hanging), [{ effect: false, status: 0 }])
  const resetting = await startMock(t, ['--reset', '1'])
  await t.rejects(post(resetting, 'key-1', transaction('tx-1')))
  t.match(readLedger(resetting), [{ effect: false, status: 0 }])
})

t.test('answers that break on the wire break for a client too', async (t) => {
  for (const fault of [
    '--wrong-length',
    '--half-answer',
    '--huge-header',
    '--dirty-headers',
    '--informational',
  ]) {
    const mock = await startMock(t, ['--success', '1', fault, '1'])
    await t.rejects(post(mock, 'key-1', transaction('tx-1')), fault)
  }
})

t.test('a body that comes one byte a second has its head sent at once', async (t) => {
  const mock = await startMock(t, ['--success', '1', '--slow-bytes', '1'])
  const abort = new AbortController()
  const response = await fetch(mock.url, { method: 'POST', body: transaction('tx-1'), signal: abort.signal })
  t.equal(response.status, 200)
  const first = await response.body!.getReader().read()
  t.equal((first.value as Uint8Array).length, 1)
  abort.abort()
})

t.test('odd but whole answers of 200 have their effect', async (t) => {
  for (const [fault, answer] of [
    ['--html', /^<!doctype html>/],
    ['--broken-json', /^\{"status":"succ$/],
    ['--empty', /^$/],
    ['--echo', /^\{"transaction_id":"tx-1","amount":1\}$/],
  ] as const) {
    const mock = await startMock(t, ['--success', '1', fault, '1'])
    const { status, text } = await post(mock, 'key-1', transaction('tx-1'))
    t.equal(status, 200, fault)
    t.match(text, answer, fault)
    t.match(readLedger(mock), [{ effect: true, status: 200 }])
  }
})

t.test('an answer of 2 GB is still coming after its first 8 MB', async (t) => {
  const mock = await startMock(t, ['--success', '1', '--huge-answer', '1'])
  const abort = new AbortController()
  const response = await fetch(mock.url, { method: 'POST', body: transaction('tx-1'), signal: abort.signal })
  let bytes = 0
  for await (const chunk of response.body!) {
    bytes += (chunk as Uint8Array).length
    if (bytes > 8_388_608) break
  }
  t.ok(bytes > 8_388_608)
  abort.abort()
})

t.test('GET /health counts requests and effects, and other routes and methods are refused', async (t) => {
  const mock = await startMock(t, ['--success', '1'])
  await post(mock, 'key-1', transaction('tx-1'))
  await post(mock, 'key-1', transaction('tx-1'))
  const health = await fetch(mock.url.replace('/process', '/health'))
  t.same(await health.json(), { status: 'healthy', requests: 2, effects: 1 })
  t.equal((await fetch(mock.url)).status, 405)
  t.equal((await fetch(mock.url.replace('/process', '/nowhere'))).status, 404)
})

t.test(
  'while an outage lasts every request fails without an effect, also a repeat; then all is as before',
  async (t) => {
    const mock = await startMock(t, ['--success', '1'])
    const outage = (query: string) =>
      fetch(mock.url.replace('/process', `/outage${query}`), { method: 'POST' })
    await post(mock, 'key-1', transaction('tx-1'))
    t.equal((await outage('?seconds=3600')).status, 200)
    t.equal((await post(mock, 'key-1', transaction('tx-1'))).status, 503)
    t.equal((await post(mock, 'key-2', transaction('tx-2'))).status, 503)
    t.equal((await outage('?seconds=0')).status, 200)
    t.equal((await post(mock, 'key-1', transaction('tx-1'))).status, 200)
    t.equal((await post(mock, 'key-2', transaction('tx-2'))).status, 200)
    t.same(
      readLedger(mock).map(({ key, effect, status }) => [key, effect, status]),
      [
        ['key-1', true, 200],
        ['key-1', false, 503],
        ['key-2', false, 503],
        ['key-1', false, 200],
        ['key-2', true, 200],
      ],
    )
    for (const query of ['', '?seconds=', '?seconds=-1', '?seconds=soon', '?seconds=3601'])
      t.equal((await outage(query)).status, 400, query)
  },
)

t.test('the lean processor answers each request once, in whatever pieces its bytes arrive', async (t) => {
  const mock = await startMock(t, ['--lean'])
  const socket = connect(mock.port, '127.0.0.1')
  t.teardown(() => socket.destroy())
  const request = 'POST /process HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\n\r\n\r\n'
  let received = ''
  socket.setNoDelay(true).on('data', (chunk: Buffer) => (received += chunk.toString('latin1')))
  const answers = async (count: number) => {
    while (received.split('HTTP/1.1 200 OK').length - 1 < count) await once(socket, 'data')
    return received.split('HTTP/1.1 200 OK').length - 1
  }
  for (const byte of request) {
    socket.write(byte)
    await new Promise(setImmediate)
  }
  t.equal(await answers(1), 1)
  socket.write(request.repeat(100))
  t.equal(await answers(101), 101)
  const health = await fetch(mock.url.replace('/process', '/health'))
  t.same(await health.json(), { status: 'healthy', served: 101 })
  t.equal((await post(mock, 'key-1', transaction('tx-1'))).text, '{}')
})

t.test('a flag that makes no sense is one sentence and exit code 2', async (t) => {
  for (const flags of [
    ['--sucess', '1'],
    ['--success', '2'],
    ['--status', 'x'],
    ['--lean', '--seed', '1'],
    ['--hang', '0.6', '--reset', '0.6'],
    ['--retry-after', '-5'],
  ]) {
    const child = spawn(process.execPath, [...program('embedded/mock'), ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
    })
    const [said] = await Promise.all([text(child.stderr), once(child, 'exit')])
    t.equal(child.exitCode, 2, flags.join(' '))
    t.match(said, /^[^\n]+\n$/, said.trim())
  }
})

t.test(
  'it tells what became of a payment, also when its key is forgotten, and then pays it again',
  async (t) => {
    const mock = await startMock(t, ['--success', '1', '--forget-after', '0.001'])
    const ask = (key: string) => fetch(mock.url.replace('/process', `/payments/${key}`))
    t.equal((await ask('key-1')).status, 404)
    await post(mock, 'key-1', transaction('tx-1'))
    t.match(await (await ask('key-1')).json(), { status: 'success', transaction_id: 'tx-1' })
    // It is forgotten within a millisecond.
    await until('the key to be forgotten', async () => {
      await post(mock, 'key-1', transaction('tx-1'))
      return readLedger(mock).filter(({ effect }) => effect).length > 1
    })
    t.equal((await ask('key-1')).status, 200)
    await mock.beginOutage(60)
    t.equal((await ask('key-1')).status, 503)
  },
)

t.test('a key that is forgotten again and again does not meet the same fault each time', async (t) => {
  const mock = await startMock(t, [
    '--success',
    '1',
    '--lost-answers',
    '0.5',
    '--forget-after',
    '0.001',
    '--seed',
    '1',
  ])
  const isAnswered = (key: string) =>
    post(mock, key, transaction(key)).then(
      () => true,
      () => false,
    )
  const keys = Array.from({ length: 20 }, (_, at) => `key-${at}`)
  for (const key of keys) await until(`an answer for ${key}`, () => isAnswered(key))
})
