import t from 'tap'
import type { Outcome } from '../../src/message/outcome.ts'
import { readThrottle } from '../../src/message/read-throttle.ts'
import { judge } from '../../src/message/verdict.ts'

const holds = (statusCode: number): boolean => statusCode === 401

function unknown(statusCode: number, isRetried: boolean, retryAfterMs: number | null = null): Outcome {
  const answer = isRetried ? ({ isRetried, retryAfterMs } as const) : ({ isRetried } as const)
  return { kind: 'unknown', statusCode, reason: `HTTP ${statusCode}`, answer }
}

t.test(
  'an answer that leaves the outcome unknown is judged by its status, as any other answer is',
  async (t) => {
    t.equal(judge(unknown(500, true), true, holds), 'failure')
    t.equal(judge(unknown(409, true), true, holds), 'other')
    t.equal(judge(unknown(401, true), true, holds), 'failure')
    t.equal(judge(unknown(500, false), true, holds), 'refusal')
    t.equal(judge({ kind: 'unknown', statusCode: 200, reason: 'reset' }, true, holds), 'failure')
  },
)

t.test('an answer that leaves the outcome unknown may ask for fewer attempts too', async (t) => {
  t.strictSame(readThrottle(unknown(503, true, 2_000)), { waitMs: 2_000, reason: 'HTTP 503' })
  t.strictSame(readThrottle(unknown(429, true)), { waitMs: 0, reason: 'HTTP 429' })
  t.equal(readThrottle(unknown(503, true)), null)
  t.equal(readThrottle(unknown(429, false)), null)
  t.equal(readThrottle({ kind: 'accepted', statusCode: 200 }), null)
})
