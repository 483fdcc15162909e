import t from 'tap'
import { makeAttempt, type Deliver } from '../../src/dispatch/make-attempt.ts'
import type { Claim } from '../../src/log/write/to-claim.ts'
import type { MessageId, TransactionId } from '../../src/message/message.ts'
import type { Outcome } from '../../src/message/outcome.ts'
import { holdsNothing } from '../support/flowing.ts'

const policy = { retriesMax: 5, baseDelayMs: 100, maxDelayMs: 1_000, holdStatuses: holdsNothing }
const timeoutMs = 10_000
const startSpan = () => null
const timedOut: Outcome = { kind: 'unknown', statusCode: null, reason: 'timeout after 10 s, sent, no answer' }
const claim: Claim = {
  messageId: '1' as MessageId,
  transactionId: 'tx-1' as TransactionId,
  attempt: 1,
  leaseEndsAt: 0n,
  retries: 0,
  payload: Buffer.from('{}'),
  traceparent: null,
  ageMs: 0,
}

/** What an attempt with so much time says of the destination, if it ends at its deadline or before. */
async function verdictOf(leftMs: number, outcome: Outcome, atDeadline: boolean): Promise<string> {
  const deadlineAt = performance.now() + leftMs
  const deliver = (): Promise<Outcome> => {
    if (atDeadline) while (performance.now() < deadlineAt);
    return Promise.resolve(outcome)
  }
  return (await makeAttempt(claim, deadlineAt, 0, { deliver, policy, timeoutMs, startSpan })).verdict
}

t.test(
  'a request that had hardly any time, because the database was slow, says nothing of the destination',
  async (t) => {
    t.equal(await verdictOf(20, timedOut, true), 'none')
    t.equal(await verdictOf(20, { kind: 'not_sent', reason: 'timeout after 10 s, not sent' }, true), 'none')
  },
)

t.test('what such a request hears is heard, and so is a connection that is refused', async (t) => {
  t.equal(await verdictOf(20, { kind: 'accepted', statusCode: 200 }, true), 'success')
  t.equal(await verdictOf(4_000, { kind: 'not_sent', reason: 'connection refused' }, false), 'failure')
})

t.test('a timeout of a request that had most of its time is a failure of the destination', async (t) => {
  const deliver: Deliver = (_, deadlineAt) => {
    while (performance.now() < deadlineAt);
    return Promise.resolve(timedOut)
  }
  const options = { deliver, policy, timeoutMs: 40, startSpan }
  const { verdict } = await makeAttempt(claim, performance.now() + 30, 0, options)
  t.equal(verdict, 'failure')
})
