import t, { type Test } from 'tap'
import { makeClock, withoutClock } from '../support/clock.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { startOwnPostgres, type OwnPostgres } from '../support/own-postgres.ts'
import { startPostgresPair } from '../support/postgres-pair.ts'
import { isReady, startReadyService, startService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.jobs = 2

// Together with five seconds the timeout is the grace that holders have after an outage.
const timeoutSeconds = 10
const graceSeconds = timeoutSeconds + 5
const settings = { DOWNSTREAM_TIMEOUT: String(timeoutSeconds), LEASE: String(timeoutSeconds + 1) }

t.test(
  'what a holder that has yet to find the promoted standby was paid for is left to it',
  { buffered: true },
  async (t) => {
    const pair = await startPostgresPair(t, { synchronous: true })
    const line = await setUpLine(t, ['--success', '1', '--latency', '2000'], { database: pair })
    await startReadyService(t, { ...line.settings, ...settings, MAX_CONCURRENT: '100' })
    await line.produce(30)
    await isSent(line, 30)
    await pair.killPrimary()
    // It waits for the standby to be promoted, and is then as quick as an instance that ran already.
    const fresh = await startService(t, {
      ...line.settings,
      ...settings,
      DATABASE_URL: pair.standby.url,
    })
    await until('the leases to have ended, on a standby that is no longer new', () =>
      isPast(pair.standby, 30),
    )
    await pair.promote()
    await isReady(fresh)
    await line.produce(30)
    await until('the fresh instance to be at work', () => fresh.log.some(({ event }) => event === 'attempt'))
    pair.switchTo('standby')
    await line.settled(60)
    await isLeftToItsHolder(t, line, 60)
  },
)

t.test(
  'a step of the database’s clock takes nothing from a holder that lives',
  { buffered: true, skip: withoutClock },
  async (t) => {
    const clock = await makeClock(t)
    const postgres = await startOwnPostgres(t, { binaries: clock.binaries })
    const line = await setUpLine(t, ['--success', '1', '--latency', '5000'], { database: postgres })
    for (let started = 0; started < 2; started++)
      await startReadyService(t, { ...line.settings, ...settings })
    await line.produce(20)
    await isSent(line, 20)
    await clock.setAhead(300)
    t.ok(await isPast(postgres, 20), 'by the clock all leases have ended')
    // As any append does: each instance wakes and looks.
    await line.pool.query(`notify message_due`)
    await line.settled(20)
    await isLeftToItsHolder(t, line, 20)
  },
)

async function isSent(line: Line, requests: number): Promise<void> {
  await until(`${requests} requests to be with the processor`, async () => {
    return (await line.ledger()).length === requests
  })
}

/** Whether so many open attempts are past their leases, and the server's start past the grace that follows it. */
async function isPast({ pool }: OwnPostgres, attempts: number): Promise<boolean> {
  const { rows } = await pool.query<{ past: boolean }>(
    `select count(*) = $1 and clock_timestamp() > pg_postmaster_start_time() + $2 * interval '1 second' as past
      from message_states where status = 'processing' and lease_ends_at < clock_timestamp()`,
    [attempts, graceSeconds],
  )
  return rows[0]!.past
}

async function isLeftToItsHolder(t: Test, line: Line, messages: number): Promise<void> {
  t.equal((await line.events()).attempt_abandoned, undefined, 'no attempt was taken over')
  t.equal((await line.ledger()).length, messages, 'each payment was sent once')
  await line.isClean(t)
}
