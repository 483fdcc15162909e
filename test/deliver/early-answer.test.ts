import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { makeCertificates } from '../support/certificates.ts'
import { answer, startDeliverer } from './processor.ts'
import type { Refusing } from './refusing-processor.ts'

const { ca, server } = makeCertificates(t)
const body = Buffer.alloc(5 * 2 ** 20, 'x')
// Whether the break meets a write or a read is chance; each way must be met by some.
const rounds = 5

const early: [name: string, statusCode: number, answer: string][] = [
  ['413 that says it closes', 413, answer('413 Too Large', 'no', 'Connection: close\r\n')],
  ['413 that does not say so', 413, answer('413 Too Large', 'no')],
  ['413 that ends with its connection', 413, 'HTTP/1.1 413 No\r\nConnection: close\r\n\r\nno'],
  ['413 in chunks', 413, 'HTTP/1.1 413 No\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nno\r\n0\r\n\r\n'],
  ['401 with a page', 401, answer('401 No', 'x'.repeat(20_000))],
  ['503', 503, answer('503 Down')],
  ['200', 200, answer('200 OK')],
]
const requests = Array.from({ length: rounds }, (_, round) =>
  early.map(([name, statusCode, answer]) => ({ key: `${name}, ${round}`, statusCode, answer })),
).flat()

const ways: [name: string, pair: Refusing['pair'], ending: Refusing['ending']][] = [
  ['closed', null, 'close'],
  ['reset', null, 'reset'],
  ['closed, over TLS', server, 'close'],
]

for (const [name, pair, ending] of ways) {
  t.test(`an answer counts that came before the body was read and its connection ${name}`, async (t) => {
    const answers = Object.fromEntries(requests.map(({ key, answer }) => [key, answer]))
    const url = await startRefusing(t, { answers, ending, pair })
    for (const { key, statusCode } of requests) {
      // A connection of its own, so that no request waits on one whose reset is still to be read: that would be `not_sent`.
      const deliverer = startDeliverer(t, url, { tls: { ca, cert: null, key: null } })
      const delivery = { body, idempotencyKey: key, attempt: 1, traceparent: null }
      const outcome = await deliverer.deliver(delivery, performance.now() + 30_000)
      t.match(outcome, { kind: /accepted|refused|unavailable/, statusCode }, key)
      await deliverer.close()
    }
  })
}

t.test('an answer that is cut short by the break stays unknown, whatever its status', async (t) => {
  for (const status of ['200 OK', '413 Too Large']) {
    const answers = { k: `HTTP/1.1 ${status}\r\nContent-Length: 10\r\n\r\n12345` }
    const url = await startRefusing(t, { answers, ending: 'close', pair: null })
    const delivery = { body, idempotencyKey: 'k', attempt: 1, traceparent: null }
    const outcome = await startDeliverer(t, url).deliver(delivery, performance.now() + 30_000)
    t.match(outcome, {
      kind: 'unknown',
      statusCode: Number.parseInt(status),
      reason: /^connection (?:closed|reset) before the end of the answer/,
    })
  }
})

async function startRefusing(t: Test, options: Refusing): Promise<URL> {
  const script = fileURLToPath(new URL('refusing-processor.ts', import.meta.url))
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), script, JSON.stringify(options)],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const [port] = (await once(child.stdout, 'data')) as [Buffer]
  return new URL(`${options.pair === null ? 'http' : 'https'}://localhost:${String(port).trim()}/`)
}
