import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { database } from '../support/database.ts'
import { setUpLine } from '../support/line.ts'
import { createRole } from '../support/roles.ts'
import { startReadyService } from '../support/service.ts'

const rebuildScript = fileURLToPath(new URL('../../src/commands/rebuild.ts', import.meta.url))

async function rebuild(url: string): Promise<unknown> {
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), rebuildScript], {
    env: { PATH: process.env.PATH, DATABASE_URL: url },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  const [code] = (await once(child, 'close')) as [number | null]
  return code
}

t.test(
  'with an owner who migrates, the service does all its work with rights to read and to call, and so do its tools',
  async (t) => {
    const empty = await database(t, { empty: true })
    const owner = await createRole(t, empty, 'owner')
    const role = await createRole(t, empty)
    const name = new URL(empty.url).pathname.slice(1)
    await empty.pool.query(`grant ${owner.name} to current_user`)
    await empty.pool.query(`alter database ${name} owner to ${owner.name}`)
    const line = await setUpLine(t, ['--success', '0.5', '--status', '503'], {
      database: { ...empty, url: role.url },
    })
    const service = await startReadyService(t, {
      ...line.settings,
      MAX_RETRIES: '1',
      HOLD_AFTER: '0',
      MIGRATE_DATABASE_URL: owner.url,
    })
    await line.produce(200)
    const { dead_letter } = await line.settled(200)
    t.ok(dead_letter > 0, 'there is something to replay')

    const { rows } = await line.pool.query<{ id: string }>(
      `select transaction_id as id from messages where status = 'dead_letter' limit 1`,
    )
    t.ok((await fetch(`${service.url}/replay/${rows[0]!.id}`, { method: 'POST' })).ok)
    await line.settled(200)
    for (const path of ['status', 'metrics', 'transactions'])
      t.equal((await fetch(`${service.url}/${path}`)).status, 200, path)
    const query = `{ metrics { counts { total } } messages(first: 5) { edges { node { status history { type } } } }
      events(last: 5) { edges { node { type } } } }`
    const answer = await fetch(`${service.url}/graphql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ query }),
    })
    t.match(await answer.json(), { data: { metrics: { counts: { total: 200 } } }, errors: undefined })

    t.equal(await rebuild(role.url), 0, 'the projection can be rebuilt, and differed in nothing')
    await line.pool.query(`update message_states set retry_count = 99 where transaction_id = $1`, [
      rows[0]!.id,
    ])
    t.equal(await rebuild(role.url), 1, 'and it is repaired')
    await line.isClean(t)
    const lines = service.log.map((each) => JSON.stringify(each))
    t.strictSame(
      lines.filter((each) => /permission denied|MIGRATE_DATABASE_URL/.test(each)),
      [],
    )
  },
)

t.test('where one role owns the log and works on it, one line warns of it', async (t) => {
  const line = await setUpLine(t)
  const service = await startReadyService(t, line.settings)
  t.match(
    service.log.filter((each) => String(each.event).includes('MIGRATE_DATABASE_URL')),
    [{ level: 40, role: 'postgres' }],
  )
})
