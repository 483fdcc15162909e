import { getEventListeners } from 'node:events'
import t from 'tap'
import { late, within } from '../../src/runtime/within.ts'

const longMs = 60_000

t.test('work that ends in time is answered as it ends', async (t) => {
  t.equal(await within(Promise.resolve('done'), longMs), 'done')
  await t.rejects(within(Promise.reject(new Error('broken')), longMs), /broken/)
})

t.test('work that does not end in time is left to itself, whatever becomes of it', async (t) => {
  let fail: (error: Error) => void = () => undefined
  const work = new Promise<string>((_, reject) => (fail = reject))
  t.equal(await within(work, 1), late)
  // Were it not handled, the process would end of it.
  fail(new Error('too late'))
  await new Promise((resolve) => setImmediate(resolve))
})

t.test('the signal ends the wait, and no listener is left on it', async (t) => {
  const stopping = new AbortController()
  const waiting = within(new Promise(() => undefined), longMs, stopping.signal)
  t.equal(await within(Promise.resolve('done'), longMs, stopping.signal), 'done')
  t.equal(getEventListeners(stopping.signal, 'abort').length, 1, 'that of the one who still waits')
  stopping.abort()
  t.equal(await waiting, late)
  t.equal(await within(new Promise(() => undefined), longMs, stopping.signal), late, 'it has aborted already')
  t.equal(getEventListeners(stopping.signal, 'abort').length, 0)
})
