import t from 'tap'
import { startPostgresPair, type PostgresPair } from '../support/postgres-pair.ts'
import { until } from '../support/until.ts'

t.jobs = 2

async function write(pair: PostgresPair, value: number): Promise<void> {
  await pair.pool.query('insert into written values ($1)', [value])
}

async function read({ pool }: Pick<PostgresPair, 'pool'>): Promise<number[]> {
  const { rows } = await pool.query<{ value: number }>('select value from written order by value')
  return rows.map(({ value }) => value)
}

t.test(
  'a standby that lags is promoted under the same name, without what it had not received',
  { buffered: true },
  async (t) => {
    const pair = await startPostgresPair(t)
    await pair.pool.query('create table written (value int)')
    await write(pair, 1)
    await until('the standby to have it', async () => (await read(pair.standby)).length === 1)
    await pair.stopReplication()
    await write(pair, 2)
    t.ok((await pair.lagBytes()) > 0, 'the standby lags')
    t.same(await read(pair.standby), [1])

    await pair.killPrimary()
    pair.switchTo('standby')
    await pair.promote()
    t.same(await read(pair), [1], 'the second is lost')
    await write(pair, 3)
    t.same(await read(pair), [1, 3], 'and it takes writes')
    const { rows } = await pair.pool.query<{ timeline: number }>(
      `select ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::int as timeline`,
    )
    t.equal(rows[0]?.timeline, 2)
  },
)

t.test(
  'a commit waits for a frozen synchronous standby, and what it confirmed survives the primary',
  { buffered: true },
  async (t) => {
    const pair = await startPostgresPair(t, { synchronous: true })
    await pair.pool.query('create table written (value int)')
    await pair.freezeStandby()
    let confirmed = false
    const writing = write(pair, 1).then(() => (confirmed = true))
    await until('the commit to wait', async () => {
      const { rows } = await pair.primary.pool.query(
        `select from pg_stat_activity where wait_event = 'SyncRep' and query like 'insert%'`,
      )
      return rows.length === 1
    })
    t.notOk(confirmed)
    pair.thawStandby()
    await writing
    await pair.killPrimary()
    await pair.promote()
    pair.switchTo('standby')
    t.same(await read(pair), [1])
    await write(pair, 2)
    t.same(await read(pair), [1, 2])
  },
)
