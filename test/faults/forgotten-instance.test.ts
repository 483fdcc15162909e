import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

t.test('an instance that a failover took out of the log is registered again', async (t) => {
  const line = await setUpLine(t)
  await startReadyService(t, line.settings)
  const registered = async (): Promise<unknown[]> => {
    const { rows } = await line.pool.query(
      'select instance, release, lease_ms, key_window_ms, destination_url from instances',
    )
    return rows as unknown[]
  }
  const before = await registered()
  t.equal(before.length, 1)
  await line.pool.query(`do $$
    begin
      alter table instances disable trigger append_only;
      delete from instances;
      alter table instances enable always trigger append_only;
    end $$`)
  // As another instance records it, which comes to the promoted server first.
  await line.pool.query(
    `with begun as (
       insert into log_epochs (epoch, base, actor, reason)
         select max(epoch) + 1, max(base) + 1000000, 'another', 'a failover' from log_epochs returning epoch
     )
     insert into server_changes (epoch, actor, system_identifier, timeline, position, from_system_identifier, from_timeline, from_position)
       select b.epoch, 'another', c.system_identifier, c.timeline, c.position, c.system_identifier, c.timeline, c.position
       from begun b cross join (select * from server_changes order by epoch desc limit 1) c`,
  )
  await line.pool.query(
    `select pg_terminate_backend(pid) from pg_stat_activity
     where datname = current_database() and application_name like 'transaction-queue-proxy listen %'`,
  )
  await until('it to be registered', async () => (await registered()).length === 1)
  t.strictSame(await registered(), before)
  await line.produce(5)
  t.match(await line.settled(5), { success: 5 })
  await line.isClean(t)
})
