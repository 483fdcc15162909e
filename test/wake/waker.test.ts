import { getEventListeners } from 'node:events'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { armMaxMs, armMinMs, armSpreadMs, Waker } from '../../src/wake/waker.ts'

const never = new AbortController().signal
const nothing = Symbol('nothing')

/** What the waiter has been told by the end of this turn of the event loop. */
async function sofar<T>(waiter: Promise<T>): Promise<T | typeof nothing> {
  const turn = new Promise<typeof nothing>((resolve) => setImmediate(() => resolve(nothing)))
  return Promise.race([waiter, turn])
}

t.test('a wake ends the wait, with its cause', async (t) => {
  const waker = new Waker()
  const waiter = waker.next(never)
  t.equal(await sofar(waiter), nothing)
  waker.wake('notify')
  t.equal(await waiter, 'notify')
})

t.test('a wake while nobody waits is kept for the next wait, once', async (t) => {
  const waker = new Waker()
  waker.wake('notify')
  t.equal(await waker.next(never), 'notify')
  const waiter = waker.next(never)
  t.equal(await sofar(waiter), nothing)
  waker.wake('slot')
  t.equal(await waiter, 'slot')
})

t.test('of many wakes while nobody waits one is kept, with its first cause', async (t) => {
  const waker = new Waker()
  waker.wake('reconnect')
  waker.wake('notify')
  waker.wake('notify')
  t.equal(await waker.next(never), 'reconnect')
  t.equal(await sofar(waker.next(never)), nothing)
})

t.test('a cause after which more is looked at is hidden by none that came before', async (t) => {
  const waker = new Waker()
  for (const cause of ['notify', 'sweep', 'slot', 'reconnect', 'sweep'] as const) waker.wake(cause)
  t.equal(await waker.next(never), 'reconnect')
  t.equal(await sofar(waker.next(never)), nothing)
})

t.test('a burst during a wait costs one look', async (t) => {
  const waker = new Waker()
  const waiter = waker.next(never)
  for (let i = 0; i < 1_000; i++) waker.wake(i === 0 ? 'timer' : 'notify')
  t.equal(await waiter, 'timer')
  t.equal(await sofar(waker.next(never)), nothing)
})

t.test('a wake during a look is kept', async (t) => {
  const waker = new Waker()
  waker.wake('start')
  const looks: string[] = []
  for (
    let cause = await waker.next(never);
    cause;
    cause = looks.length < 2 ? await waker.next(never) : null
  ) {
    looks.push(cause)
    // A look takes a while; what happens after its statement has run is seen by the next one only.
    await new Promise(setImmediate)
    waker.wake('notify')
  }
  t.same(looks, ['start', 'notify'])
})

t.test('an abort ends the wait with null', async (t) => {
  const waker = new Waker()
  const stopping = new AbortController()
  const waiter = waker.next(stopping.signal)
  stopping.abort()
  t.equal(await waiter, null)
})

t.test('after an abort nothing is handed out, and a kept wake stays for another wait', async (t) => {
  const waker = new Waker()
  waker.wake('notify')
  t.equal(await waker.next(AbortSignal.abort()), null)
  t.equal(await waker.next(never), 'notify')
})

t.test('a second waiter is refused and the first one still gets its wake', async (t) => {
  const waker = new Waker()
  const first = waker.next(never)
  await t.rejects(waker.next(never), /one waiter at a time/)
  waker.wake('slot')
  t.equal(await first, 'slot')
})

t.test('waits leave no listener on the signal', async (t) => {
  const waker = new Waker()
  const { signal } = new AbortController()
  for (let i = 0; i < 3; i++) {
    const waiter = waker.next(signal)
    waker.wake('notify')
    await waiter
  }
  t.same(getEventListeners(signal, 'abort'), [])
})

t.test('the timer', async (t) => {
  t.beforeEach(() => mock.timers.enable({ apis: ['setTimeout'] }))
  t.afterEach(() => mock.timers.reset())

  /** Fires after exactly `ms`: not a millisecond before, and then with cause `timer`. */
  async function firesAfter(t: Test, waker: Waker, ms: number) {
    const waiter = waker.next(never)
    mock.timers.tick(ms - 1)
    t.equal(await sofar(waiter), nothing, `not after ${ms - 1} ms`)
    mock.timers.tick(1)
    t.equal(await waiter, 'timer', `after ${ms} ms`)
  }

  t.test('wakes when the due time comes', async (t) => {
    const waker = new Waker(() => 0)
    waker.arm(1_234)
    await firesAfter(t, waker, 1_234)
  })

  t.test('is spread by up to 20 ms, and never early', async (t) => {
    const waker = new Waker(() => 0.51)
    waker.arm(1_000.1)
    await firesAfter(t, waker, 1_011)
    t.equal(armSpreadMs, 20)
  })

  for (const due of [49, 0, -5_000, -Infinity])
    t.test(`of something due in ${due} ms does not spin: it waits 50 ms`, async (t) => {
      const waker = new Waker(() => 0)
      waker.arm(due)
      await firesAfter(t, waker, armMinMs)
    })

  for (const due of [300_001, 2 ** 31, 1e300, Infinity])
    t.test(`of something due in ${due} ms fires after five minutes, for another look`, async (t) => {
      const waker = new Waker(() => 0)
      waker.arm(due)
      await firesAfter(t, waker, armMaxMs)
    })

  t.test('is replaced when it is armed again, sooner or later', async (t) => {
    const waker = new Waker(() => 0)
    waker.arm(10_000)
    waker.arm(500)
    await firesAfter(t, waker, 500)
    waker.arm(500)
    waker.arm(10_000)
    await firesAfter(t, waker, 10_000)
    const waiter = waker.next(never)
    mock.timers.tick(armMaxMs)
    t.equal(await sofar(waiter), nothing, 'what was replaced never fires')
  })

  t.test('is disarmed by null', async (t) => {
    const waker = new Waker(() => 0)
    waker.arm(500)
    waker.arm(null)
    const waiter = waker.next(never)
    mock.timers.tick(armMaxMs)
    t.equal(await sofar(waiter), nothing)
  })

  t.test('fires once, and is kept if it fires during a look', async (t) => {
    const waker = new Waker(() => 0)
    waker.arm(500)
    mock.timers.tick(armMaxMs)
    t.equal(await waker.next(never), 'timer')
    t.equal(await sofar(waker.next(never)), nothing)
  })
})

t.test('an armed timer does not keep the process alive', (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((type) => type === 'Timeout').length
  const before = timers()
  const waker = new Waker()
  waker.arm(Infinity)
  t.equal(timers(), before)
  waker.arm(null)
  t.end()
})
