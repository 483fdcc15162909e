import t from 'tap'
import { retryDelayMs } from '../../src/runtime/retry-delay-ms.ts'

t.test('each further failure doubles the delay, up to the longest', async (t) => {
  const bounds = { firstMs: 100, maxMs: 2_000 }
  t.strictSame(
    [1, 2, 3, 4, 5, 6, 7].map((failures) => retryDelayMs(failures, bounds)),
    [100, 200, 400, 800, 1_600, 2_000, 2_000],
  )
  t.equal(retryDelayMs(100_000, bounds), 2_000, 'for as long as it fails')
})
