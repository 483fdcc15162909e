import { createHash } from 'node:crypto'
import t from 'tap'
import type { Access } from '../../src/api/access.ts'
import { startService, store, storeSuccesses } from '../api/service.ts'
import { archiveAll } from '../support/archive.ts'
import { database } from '../support/database.ts'
import { headPasses } from '../support/head-passes.ts'
import { makeSmallSegments } from '../support/segments.ts'
import { tqp, type Endpoint } from './tqp.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const access: Access = {
  open: false,
  introspection: false,
  tokens: [
    { name: 'alice', role: 'operator', sha256: sha256('alice-secret') },
    { name: 'victor', role: 'viewer', sha256: sha256('victor-secret') },
  ],
}

t.test('expunge takes the bytes away for good, and says first what it would take', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access)
  const alice: Endpoint = { url: `http://127.0.0.1:${service.port}`, token: 'alice-secret' }
  await storeSuccesses(pool, ['paid-1'])
  await store(pool, ['waits-1'])
  const why = ['--reason', 'the retention is over']
  t.match(await tqp(alice, 'expunge', 'paid-1'), { code: 2, errors: /^Say why/ })
  const dry = await tqp(alice, 'expunge', 'paid-1', ...why, '--dry-run')
  t.match(dry, {
    code: 0,
    output: /^paid-1: success.*, would lose \d+ bytes, the key and the headers\nNothing was changed/,
  })
  t.match(dry.output, /npx tqp expunge paid-1 --reason 'the retention is over'/)
  t.match(await tqp(alice, 'expunge', 'waits-1', ...why, '--dry-run'), {
    code: 1,
    output:
      'waits-1: pending, may still be sent: it cannot be expunged\nNothing was changed, and it would be refused.\n',
  })
  t.match(await tqp(alice, 'expunge', 'paid-1', 'waits-1', ...why), {
    code: 1,
    output: /^paid-1: done, version 4, now success\nwaits-1: \S/,
  })
  t.match(await tqp(alice, 'expunge', 'paid-1', ...why, '--dry-run'), {
    code: 0,
    output: /was expunged before/,
  })
  t.match(await tqp(alice, 'expunge', 'paid-1', ...why), {
    code: 0,
    output: 'paid-1: was done before, version 4, now success\n',
  })
  t.match(await tqp({ ...alice, token: 'victor-secret' }, 'expunge', 'paid-1', ...why), { code: 1 })
  const { rows } = await pool.query(
    `select actor, reason from message_events where type = 'expunged' and actor = 'alice'`,
  )
  t.strictSame(rows, [{ actor: 'alice', reason: 'the retention is over' }])
})

t.test('expunge names the conflicting records that keep their bytes', async (t) => {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access)
  const alice: Endpoint = { url: `http://127.0.0.1:${service.port}`, token: 'alice-secret' }
  await storeSuccesses(pool, ['paid-1'])
  await store(pool, ['paid-1'])
  for (const amount of ['10.11', '10.12']) await store(pool, ['paid-1'], { amount })
  const [first, second] = ['record:transactions.incoming:0:2', 'record:transactions.incoming:0:3'] as const
  const say = async (id: string, ...more: string[]) =>
    (await tqp(alice, 'expunge', id, '--reason', 'erasure request', ...more)).output.split('\n')[0]
  const left = async () => {
    const { rows } = await pool.query<{ payload: string }>(
      `select convert_from(payload, 'UTF8')::json->>'amount' as payload from records where payload is not null order by message_id`,
    )
    return rows.map(({ payload }) => payload)
  }
  const both = `2 conflicting records keep their bytes until their own ids are expunged: ${first}, ${second}`
  t.equal(
    await say('paid-1', '--dry-run'),
    `paid-1: success, would lose 44 bytes, the key and the headers; ${both}`,
  )
  t.strictSame(await left(), ['10.10', '10.11', '10.12'])
  t.equal(await say('paid-1'), `paid-1: done, version 7, now success; ${both}`)
  t.strictSame(await left(), ['10.11', '10.12'], 'the duplicate has no bytes of its own')
  t.equal(await say(first), `${first}: done, version 2, now dead_letter`)
  t.equal(
    await say('paid-1', '--dry-run'),
    `paid-1: success, was expunged before; 1 conflicting record keeps its bytes until its own id is expunged: ${second}`,
  )
  t.equal(await say(second), `${second}: done, version 2, now dead_letter`)
  t.strictSame(await left(), [])
  t.equal(await say('paid-1', '--dry-run'), 'paid-1: success, was expunged before')
})

t.test('a dry run tells of each by itself, also where one is archived', async (t) => {
  const { pool, url } = await database(t)
  await makeSmallSegments(pool, 10)
  const service = await startService(t, pool, undefined, access)
  await storeSuccesses(
    pool,
    Array.from({ length: 15 }, (_, at) => `paid-${at}`),
  )
  await headPasses(pool)
  t.equal((await archiveAll(url, t.testdir())).length, 1)
  const alice: Endpoint = { url: `http://127.0.0.1:${service.port}`, token: 'alice-secret' }
  t.match(await tqp(alice, 'expunge', 'paid-0', 'paid-14', '--reason', 'why', '--dry-run'), {
    code: 1,
    output: /^paid-0: Message 1 is archived: .*\npaid-14: success, would lose /,
    errors: '',
  })
})
