import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService, startService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.test(
  'a service with a retention expunges by itself what has ended, also across a kill in between',
  async (t) => {
    const line = await setUpLine(t, ['--success', '0.9'])
    const count = 400
    const states = async (): Promise<Record<string, number>> => {
      const { rows } = await line.pool.query<{ state: string; n: number }>(
        'select payload_state as state, count(*)::int as n from records where version = 1 group by 1',
      )
      return Object.fromEntries(rows.map(({ state, n }) => [state, n]))
    }
    const first = await startReadyService(t, line.settings)
    await line.produce(count)
    await line.settled(count)
    t.strictSame(await states(), { whole: count }, 'without a retention all is kept')
    first.kill('SIGTERM')
    t.equal(await first.ended, 0)

    // Each piece is a transaction of its own. The kill comes after the first of them.
    const retention = { ...line.settings, RETAIN_PAYLOAD: '1s' }
    const killed = await startService(t, { ...retention, FAILPOINT: 'retention.after_piece:1' })
    t.equal(await killed.ended, 'SIGKILL')
    const { expunged = 0 } = await states()
    t.ok(expunged > 0, 'the first piece is committed')

    const service = await startReadyService(t, retention)
    await line.produce(50)
    await until('all payloads to be expunged', async () => (await states()).expunged === count + 50)
    await line.settled(count + 50)
    t.equal((await line.events()).expunged, count + 50, 'each of them once')
    const { rows } = await line.pool.query<{ reason: string; named: boolean }>(
      `select distinct e.reason, exists (select from instances i where e.actor = i.instance || '/retention') as named
       from message_events e where e.type = 'expunged'`,
    )
    t.strictSame(rows, [{ reason: 'RETAIN_PAYLOAD: 1s', named: true }])
    await until('the log to tell of it', () =>
      service.log.some(({ event, messages }) => event === 'payloads expunged' && Number(messages) > 0),
    )
    await line.isClean(t)
  },
)
