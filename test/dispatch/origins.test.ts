import pg from 'pg'
import t from 'tap'
import { Origins } from '../../src/dispatch/origins.ts'
import { store } from '../api/service.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'

t.test('a lane asks for origins again only when it has the last answer', async (t) => {
  const { pool, url } = await database(t)
  const claims = await store(pool, ['pay-1'], { room: 1 })
  const own = new pg.Pool({ connectionString: url, max: 3 })
  t.teardown(() => own.end())
  const origins = new Origins(own)
  const locker = await pool.connect()
  await locker.query('begin; lock table message_events in access exclusive mode')
  // The first waits for half a second, and goes without.
  for (let look = 1; look <= 3; look += 1) await origins.addTo(claims)
  t.equal(own.totalCount, 1, 'the other connections are left to outcomes')
  t.notOk('replayedBy' in claims[0]!)
  await locker.query('rollback')
  locker.release()
  await until('what was asked to be answered', () => own.idleCount === 1)
  await until('the next look to be told', async () => {
    await origins.addTo(claims)
    return claims[0]!.replayedBy === null
  })
})
