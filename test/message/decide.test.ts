import t from 'tap'
import { decide, decideAbandoned, type RetryPolicy } from '../../src/message/decide.ts'
import type { Outcome } from '../../src/message/outcome.ts'

const policy: RetryPolicy = { retriesMax: 5, baseDelayMs: 60_000, maxDelayMs: 3_600_000 }
const middle = (): number => 0.5
const unavailable = (retryAfterMs: number | null): Outcome => ({
  kind: 'unavailable',
  statusCode: 503,
  reason: 'HTTP 503',
  retryAfterMs,
})
/** An answer after which nobody knows whether the processor acted. */
const failed = { kind: 'unknown', statusCode: 500, reason: 'HTTP 500' } as const
const retried: Outcome[] = [
  { ...failed, answer: { isRetried: true, retryAfterMs: null } },
  unavailable(null),
  { kind: 'not_sent', reason: 'refused' },
  { kind: 'unknown', statusCode: null, reason: 'timeout' },
]

t.test('an accepted attempt ends in success, however many retries it took', async (t) => {
  t.strictSame(decide({ kind: 'accepted', statusCode: 204 }, 5, policy), { then: 'success' })
})

t.test('a refused attempt is a dead letter at once', async (t) => {
  t.strictSame(decide({ kind: 'refused', statusCode: 400, reason: 'HTTP 400' }, 0, policy), {
    then: 'dead_letter',
    sparedDelayMs: null,
  })
})

t.test('what may pass is retried after its backoff, until the retries are exhausted', async (t) => {
  for (const outcome of retried) {
    t.strictSame(decide(outcome, 0, policy, middle), { then: 'retry', delayMs: 60_000 })
    t.strictSame(decide(outcome, 4, policy, middle), { then: 'retry', delayMs: 960_000 })
    t.strictSame(decide(outcome, 5, policy, middle), { then: 'dead_letter', sparedDelayMs: 1_920_000 })
    t.strictSame(decide(outcome, 6, policy, middle), { then: 'dead_letter', sparedDelayMs: 3_600_000 })
    t.strictSame(decide(outcome, 0, { ...policy, retriesMax: 0 }, middle), {
      then: 'dead_letter',
      sparedDelayMs: 60_000,
    })
  }
})

t.test('Retry-After is heeded', async (t) => {
  const unknown: Outcome = { ...failed, answer: { isRetried: true, retryAfterMs: 100_000 } }
  for (const outcome of [unavailable(100_000), unknown])
    t.strictSame(decide(outcome, 0, policy, middle), { then: 'retry', delayMs: 100_000 })
})

t.test(
  'an unknown outcome whose status is not retried is a dead letter at once, also while others are spared',
  async (t) => {
    t.strictSame(decide({ ...failed, answer: { isRetried: false } }, 0, policy), {
      then: 'dead_letter',
      sparedDelayMs: null,
    })
  },
)

t.test('an abandoned attempt uses up a retry and is due at once', async (t) => {
  t.strictSame(decideAbandoned(0, false, policy, middle), { then: 'retry', delayMs: 0 })
  t.strictSame(decideAbandoned(4, false, policy, middle), { then: 'retry', delayMs: 0 })
  t.strictSame(decideAbandoned(5, false, policy, middle), { then: 'dead_letter', sparedDelayMs: 1_920_000 })
})

t.test('a second abandonment in a row waits its backoff', async (t) => {
  t.strictSame(decideAbandoned(1, true, policy, middle), { then: 'retry', delayMs: 120_000 })
  t.strictSame(decideAbandoned(5, true, policy, middle), { then: 'dead_letter', sparedDelayMs: 1_920_000 })
})
