import fc from 'fast-check'
import t from 'tap'
import { backoff } from '../../src/message/backoff.ts'

const policy = { baseDelayMs: 60_000, maxDelayMs: 3_600_000 }
const middle = (): number => 0.5

t.test('the delay doubles with each retry, up to the maximum', async (t) => {
  t.strictSame(
    [0, 1, 2, 3, 4, 5, 6, 7, 1000].map((retries) => backoff(policy, retries, null, middle)),
    [60_000, 120_000, 240_000, 480_000, 960_000, 1_920_000, 3_600_000, 3_600_000, 3_600_000],
  )
})

t.test('it is spread by a fifth to either side, and cut to the maximum after that', async (t) => {
  t.equal(
    backoff(policy, 0, null, () => 0),
    48_000,
  )
  t.equal(
    backoff(policy, 0, null, () => 1 - 1e-12),
    72_000,
  )
  t.equal(
    backoff(policy, 9, null, () => 0),
    2_880_000,
  )
  t.equal(
    backoff(policy, 9, null, () => 0.9),
    3_600_000,
  )
})

t.test('Retry-After raises the delay, never lowers it, and never exceeds the maximum', async (t) => {
  t.equal(backoff(policy, 0, 90_000, middle), 90_000)
  t.equal(backoff(policy, 0, 10, middle), 60_000)
  t.equal(backoff(policy, 0, 1e12, middle), 3_600_000)
  t.equal(backoff(policy, 0, -5, middle), 60_000)
})

t.test('any delay is a whole number of milliseconds within the policy', async () => {
  const anyPolicy = fc.record({ baseDelayMs: fc.nat(2 ** 31 - 1), maxDelayMs: fc.nat(2 ** 31 - 1) })
  fc.assert(
    fc.property(anyPolicy, fc.nat(1000), fc.option(fc.nat()), (policy, retries, retryAfterMs) => {
      const delayMs = backoff(policy, retries, retryAfterMs)
      const doubled = Math.min(policy.maxDelayMs, policy.baseDelayMs * 2 ** retries)
      return (
        Number.isInteger(delayMs) &&
        delayMs <= policy.maxDelayMs &&
        delayMs >= Math.floor(Math.min(0.8 * doubled, policy.maxDelayMs))
      )
    }),
  )
})
