import t from 'tap'
import type { Claim } from '../../../src/log/write/to-claim.ts'
import { settle } from '../../../src/log/write/settle.ts'
import { database } from '../../support/database.ts'
import { deadLetter, openClaims, record, refused, session, stateOf, store, waitsFor } from '../support.ts'

t.test('a batch over two segments that waits for a message settles all of its attempts', async (t) => {
  const { pool, url } = await database(t)
  const [first] = await openClaims(pool, 1)
  await pool.query(`select setval('message_ids', (select max(next_message_id) from log_segments) + 10)`)
  await pool.query('select make_segments(1000)')
  const [second] = await openClaims(pool, 1)
  const [holder, settler] = [await session(t, url), await session(t, url)]
  await holder.database.query('begin')
  await store(holder.database, [record(0, first!.transactionId)])
  const settlements = [first!, second!].map((claim: Claim) => ({
    ...claim,
    outcome: refused,
    durationMs: 5,
    decision: deadLetter,
    verdict: 'refusal' as const,
  }))
  const settling = settle(settler.database, 'instance-1/fresh', settlements)
  await waitsFor(pool, settler, holder, settling)
  await holder.database.query('commit')
  t.same(await settling, ['appended', 'appended'])
  for (const { messageId } of [first!, second!])
    t.match(await stateOf(pool, messageId), { status: 'dead_letter' })
})
