import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'
import t from 'tap'
import type { Outcome } from '../../src/message/outcome.ts'
import { send, startDeliverer } from './processor.ts'

const deliveries = 4_000

/**
 * Answers each request, and closes the connection within the next 2 ms, often when the next request is just
 * being written. A process of its own, so that both sides really run at once. It keeps the keys that came.
 */
const processorScript = `
  const seen = []
  const server = require('node:net').createServer({ noDelay: true }, (socket) => {
    let text = ''
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      text += chunk.toString('latin1')
      const end = text.indexOf('\\r\\n\\r\\n{}')
      if (end < 0) return
      seen.push(/idempotency-key: (.*)\\r/i.exec(text)[1])
      text = text.slice(end + 6)
      socket.write('HTTP/1.1 200 OK\\r\\nContent-Length: 0\\r\\n\\r\\n')
      const random = Math.random()
      if (random < 0.2) setImmediate(() => socket.end())
      else if (random < 0.4) setTimeout(() => socket.destroy(), random * 5)
      else if (random < 0.5) setTimeout(() => socket.resetAndDestroy(), (random - 0.3) * 10)
    })
  })
  server.listen(0, '127.0.0.1', () => process.send(server.address().port))
  process.on('message', () => process.send(seen))
`

t.test('a processor that closes just when the next request is written has each at most once', async (t) => {
  const stdio = ['ignore', 'inherit', 'inherit', 'ipc'] as const
  const processor = spawn(process.execPath, ['-e', processorScript], { stdio: [...stdio] })
  t.teardown(() => processor.kill('SIGKILL'))
  const [port] = (await once(processor, 'message')) as [number]
  const deliverer = startDeliverer(t, new URL(`http://127.0.0.1:${port}/`), { connections: 4 })
  const outcomes = new Map<string, Outcome>()
  let next = 0
  const work = async () => {
    while (next < deliveries) {
      const key = `key-${next++}`
      outcomes.set(key, await send(deliverer, key))
      if (Math.random() < 0.3) await sleep(Math.random() * 3)
    }
  }
  await Promise.all(Array.from({ length: 6 }, work))
  processor.send('')
  const [seen] = (await once(processor, 'message')) as [string[]]
  const arrived = new Set(seen)
  t.equal(arrived.size, seen.length, 'none came twice')
  const kinds = { accepted: 0, unknown: 0, not_sent: 0 }
  for (const [key, { kind }] of outcomes) {
    if (kind === 'accepted' && !arrived.has(key)) t.fail(`${key} was accepted and did not come`)
    if (kind === 'not_sent' && arrived.has(key)) t.fail(`${key} was not sent and came`)
    if (kind === 'accepted' || kind === 'unknown' || kind === 'not_sent') kinds[kind] += 1
    else t.fail(`${key} is ${kind}`)
  }
  t.comment(JSON.stringify(kinds))
  t.equal(outcomes.size, deliveries)
  t.ok(kinds.accepted > deliveries / 2)
})
