import t, { type Test } from 'tap'
import { Presence, silenceTicks } from '../../src/wake/presence.ts'
import { until } from '../support/until.ts'

const tickMs = 2

function setUp(t: Test): Presence {
  const presence = new Presence(tickMs)
  t.teardown(() => presence.end())
  return presence
}

t.test('before anybody can tell, every instance may live; one that is never heard does not', async (t) => {
  const presence = setUp(t)
  presence.begin()
  t.ok(presence.mayLive('other'))
  await until('the silence to be long enough', () => !presence.mayLive('other'))
  presence.begin()
  t.ok(presence.mayLive('other'), 'who was deaf meanwhile begins anew')
})

t.test(
  'an instance that is heard lives, for as long as it is heard, beside others that are silent',
  async (t) => {
    const presence = setUp(t)
    presence.begin()
    await until('the others to be silent', () => {
      presence.hear('living')
      return !presence.mayLive('silent')
    })
    t.ok(presence.mayLive('living'))
    await until('it to be silent too', () => !presence.mayLive('living'))
  },
)

t.test('a pause of this process is nobody’s silence', async (t) => {
  const presence = setUp(t)
  presence.begin()
  presence.hear('other')
  const until = performance.now() + 10 * silenceTicks * tickMs
  while (performance.now() < until);
  await new Promise((resolve) => setImmediate(resolve))
  t.ok(presence.mayLive('other'))
})

t.test('it tells when each was heard, also of one that is silent by now', async (t) => {
  const presence = setUp(t)
  presence.begin()
  t.equal(presence.heard.size, 0)
  presence.hear('other')
  const at = presence.heard.get('other')
  await until('it to be silent', () => !presence.mayLive('other'))
  t.equal(presence.heard.get('other'), at)
  t.type(at, Date)
})
