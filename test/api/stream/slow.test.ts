import t from 'tap'
import { subscribe } from '../../../bench/subscriber.ts'
import { openAttempts } from '../../log/support.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { startService } from '../service.ts'
import { hearEvents } from './support.ts'

t.test(
  'subscribers that never read are cut off, and the others on both transports get every event',
  async (t) => {
    const { url, pool } = await database(t)
    const service = await startService(t, pool)
    const heard = await hearEvents(t, url)
    t.teardown(heard.on(() => service.events.give()))
    const address = `http://127.0.0.1:${service.port}`
    const slow = await Promise.all([subscribe(address, 'sse', true), subscribe(address, 'ws', true)])
    const quick = await Promise.all(
      Array.from({ length: 10 }, (_, at) => subscribe(address, at % 2 === 0 ? 'sse' : 'ws', false)),
    )
    // Twice as many events as wait for one at most, and as many again: what the kernel holds of them differs by machine.
    const messages = 6_000
    for (let stored = 0; stored < messages; stored += 500) await openAttempts(pool, 500)
    await until('all events', () => quick.every(({ seen }) => seen === messages * 2))
    t.equal(new Set(quick.map(({ sum }) => sum)).size, 1, 'the same events in the same order')
    for (const each of slow) each.resume()
    // One that has not read for half a minute has lost its connection by now, and with it the code.
    await until('the slow ones to hear of it', () => slow.every(({ code }) => code !== null))
    t.ok(slow.every(({ code }) => code === 'SLOW_CONSUMER' || code === 'closed'))
    t.ok(slow.every(({ seen }) => seen < messages * 2))
  },
)
