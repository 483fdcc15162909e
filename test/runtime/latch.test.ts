import { getEventListeners } from 'node:events'
import t from 'tap'
import { Latch } from '../../src/runtime/latch.ts'

const never = new AbortController().signal

/** Whether it has resolved by the end of this turn of the event loop. */
async function hasEnded(wait: Promise<void>): Promise<boolean> {
  const turn = new Promise<boolean>((resolve) => setImmediate(() => resolve(false)))
  return Promise.race([wait.then(() => true), turn])
}

t.test('whoever opens it ends the wait', async (t) => {
  const latch = new Latch()
  const wait = latch.opened(never)
  t.notOk(await hasEnded(wait))
  latch.open()
  t.ok(await hasEnded(wait))
})

t.test('an open is kept for whoever comes later, until it is closed', async (t) => {
  const latch = new Latch()
  latch.open()
  t.ok(await hasEnded(latch.opened(never)))
  t.ok(await hasEnded(latch.opened(never)), 'it is still open')
  latch.close()
  const wait = latch.opened(never)
  t.notOk(await hasEnded(wait))
  latch.open()
  t.ok(await hasEnded(wait))
})

t.test('a close does not take back an open that has ended a wait', async (t) => {
  const latch = new Latch()
  const wait = latch.opened(never)
  latch.open()
  latch.close()
  t.ok(await hasEnded(wait))
  t.notOk(latch.isOpen)
})

t.test('the signal and the time end the wait too, and leave it closed', async (t) => {
  const latch = new Latch()
  const stopping = new AbortController()
  const wait = latch.opened(stopping.signal)
  stopping.abort()
  await wait
  t.ok(await hasEnded(latch.opened(stopping.signal)), 'a signal that has aborted already')
  await latch.opened(never, 1)
  t.notOk(latch.isOpen)
  t.equal(getEventListeners(never, 'abort').length, 0, 'no listener is left')
})

t.test('a second waiter is refused', async (t) => {
  const latch = new Latch()
  const first = latch.opened(never)
  await t.rejects(latch.opened(never), /one waiter at a time/)
  latch.open()
  await first
})
