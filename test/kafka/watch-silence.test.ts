import t from 'tap'
import { watchSilence } from '../../src/kafka/watch-silence.ts'

t.test('silence is an error', async (t) => {
  const over = new AbortController()
  t.teardown(() => over.abort())
  await t.rejects(watchSilence(30, over.signal).silent, { message: 'no sign of life for 30 ms' })
})

t.test('signs of life, the end of the watch or a blocked event loop are no silence', async (t) => {
  const over = new AbortController()
  t.teardown(() => over.abort())
  const lively = watchSilence(60, over.signal)
  const chatter = setInterval(lively.heard, 5)
  t.teardown(() => clearInterval(chatter))
  const ended = new AbortController()
  const endedWatch = watchSilence(60, ended.signal)
  ended.abort()
  const blocked = watchSilence(240, over.signal)
  const until = performance.now() + 400
  while (performance.now() < until);
  // A later watch that is silent comes first.
  const silent = watchSilence(120, over.signal)
  const all = [lively.silent, endedWatch.silent, blocked.silent, silent.silent]
  await t.rejects(Promise.race(all), { message: 'no sign of life for 120 ms' })
})
