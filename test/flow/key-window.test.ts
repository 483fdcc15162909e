import t from 'tap'
import { setUpLine, type Line } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'

t.jobs = 2

const payments = 200
const forgetAfter = 6

/**
 * Payments at a processor that loses half of its answers after the effect, and soon forgets keys. Retries come after about 1, 3 and 7 s:
 * the third one is too late.
 */
async function payAll(t: Parameters<typeof setUpLine>[0], keyWindow: number, asks = false): Promise<Line> {
  const line = await setUpLine(t, [
    '--success',
    '1',
    '--lost-answers',
    '0.5',
    '--forget-after',
    String(forgetAfter),
  ])
  await startReadyService(t, {
    ...line.settings,
    BASE_DELAY: '1',
    MAX_DELAY: '8',
    HOLD_AFTER: '0',
    KEY_WINDOW: String(keyWindow),
    INQUIRY_GAP: '0.2',
    ...(asks ? { STATUS_URL: line.mock.url.replace('/process', '/payments/{idempotencyKey}') } : {}),
  })
  await line.produce(payments)
  await line.settled(payments)
  return line
}

t.test(
  'a processor that forgets keys pays nothing twice where KEY_WINDOW says so',
  { buffered: true },
  async (t) => {
    const line = await payAll(t, forgetAfter)
    t.strictSame(await line.paidTwice(), [])
    const { rows } = await line.pool.query<{ n: number }>(
      `select count(*)::int as n from message_events where type = 'dead_lettered' and attempt is null`,
    )
    t.ok(rows[0]!.n > 0, 'what it might pay twice is a dead letter')
    t.equal((await line.counts()).dead_letter, rows[0]!.n)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)

t.test('without a window it pays some twice', { buffered: true }, async (t) => {
  const line = await payAll(t, 0)
  t.ok((await line.paidTwice()).length > 0)
})

t.test(
  'asked about each payment in doubt, it pays all of them, and none twice',
  { buffered: true },
  async (t) => {
    const line = await payAll(t, forgetAfter, true)
    t.strictSame(await line.paidTwice(), [])
    t.match(await line.counts(), { success: payments, dead_letter: 0 })
    const { rows } = await line.pool.query<{ inquiry: string }>(
      `select distinct inquiry from message_events where type = 'inquired'`,
    )
    t.match(
      rows.map(({ inquiry }) => inquiry),
      ['carried_out'],
    )
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)
