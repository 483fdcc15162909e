import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, rename, rm, symlink, unlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient as createSseClient } from 'graphql-sse'
import { createClient as createWsClient } from 'graphql-ws'
import t, { type Test } from 'tap'
import { WebSocket } from 'ws'
import { parseTokenFile, readTokenFile } from '../../src/config/read-tokens.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { startService } from './service.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const entry = (name: string, role: string, token: string) => `${name}:${role}:${sha256(token)}`
const as = (token: string) => ({ headers: { authorization: `Bearer ${token}` } })

/** A service whose tokens are in a file, and how to write that file as a whole. */
async function setUp(t: Test, ...entries: string[]) {
  const { pool } = await database(t)
  const folder = await mkdtemp(join(tmpdir(), 'tqp-tokens-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const path = join(folder, 'tokens')
  const write = async (...lines: string[]) => {
    await writeFile(`${path}.new`, `${lines.join('\n')}\n`)
    await rename(`${path}.new`, path)
  }
  await write(...entries)
  const first = parseTokenFile(await readTokenFile(path))
  if ('faults' in first) throw new Error(first.faults.join(' '))
  const service = await startService(
    t,
    pool,
    undefined,
    { tokens: first.tokens, open: false, introspection: true },
    { tokenFile: { text: () => readTokenFile(path), parse: parseTokenFile } },
  )
  const statusOf = async (token: string) => (await service.call('GET', '/transactions', as(token))).status
  const faultOf = async () =>
    ((await service.call('GET', '/status')).json as { tokens_fault: string | null }).tokens_fault
  return { service, pool, path, folder, write, statusOf, faultOf }
}

t.test(
  'a token is replaced without a restart: old and new are valid together, and then the new one alone',
  async (t) => {
    const old = entry('alice', 'operator', 'old')
    const { service, pool, write, statusOf } = await setUp(t, '# tokens', '', old)
    t.equal(await statusOf('old'), 200)
    t.equal(await statusOf('new'), 401)
    await write(old, entry('alice', 'operator', 'new'))
    await until('the new token to be valid', async () => (await statusOf('new')) === 200)
    t.equal(await statusOf('old'), 200, 'both are, under the same name')
    const metrics = await service.metrics.registry.metrics()
    t.match(metrics, new RegExp(`tqp_token_requests_total\\{token="${sha256('old').slice(0, 8)}"\\} 2`))
    t.match(metrics, new RegExp(`tqp_token_requests_total\\{token="${sha256('new').slice(0, 8)}"\\} 1`))
    await write(entry('alice', 'operator', 'new'))
    await until('the old token to be refused', async () => (await statusOf('old')) === 401)
    t.equal(await statusOf('new'), 200)
    t.notMatch(await service.metrics.registry.metrics(), sha256('old').slice(0, 8))
    await service.close()
    const { rows } = await pool.query<{ kind: string; actor: string | null; details: unknown }>(
      `select kind, actor, name, details from accesses where kind = 'tokens_changed' or name = 'removed_token' order by access`,
    )
    t.match(rows, [
      { details: { added: [`alice:operator:${sha256('new').slice(0, 8)}`], removed: [] } },
      { details: { added: [], removed: [`alice:operator:${sha256('old').slice(0, 8)}`] } },
      { kind: 'login_refused', name: 'removed_token', actor: 'alice' },
    ])
  },
)

t.test('what was opened with a token that is removed, or gets another role, ends soon', async (t) => {
  const bob = entry('bob', 'viewer', 'bob-token')
  const { service, write, statusOf } = await setUp(t, entry('alice', 'operator', 'old'), bob)
  const query = 'subscription { messageEvents(positionsEverySeconds: 60) { cursor } }'
  const url = `http://127.0.0.1:${service.port}/graphql`
  const sse = createSseClient({ url, headers: { authorization: 'Bearer old' }, retryAttempts: 0 })
  const sseOfBob = createSseClient({ url, headers: { authorization: 'Bearer bob-token' }, retryAttempts: 0 })
  const closed = new Promise<unknown>((resolve) => {
    const socket = createWsClient({
      url: url.replace('http', 'ws'),
      webSocketImpl: WebSocket,
      retryAttempts: 0,
      lazy: false,
      connectionParams: { Authorization: 'Bearer old' },
      onNonLazyError: () => undefined,
      on: { closed: resolve },
    })
    t.teardown(() => socket.dispose())
  })
  const [stream, streamOfBob] = [sse.iterate({ query }), sseOfBob.iterate({ query })]
  await Promise.all([stream.next(), streamOfBob.next()])
  await write(bob)
  t.match((await stream.next()).value, { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] })
  t.equal((await stream.next()).done, true)
  t.match(await closed, { code: 4403 })
  t.equal(await statusOf('bob-token'), 200)
  await write(entry('bob', 'operator', 'bob-token'))
  t.match(
    (await streamOfBob.next()).value,
    { errors: [{ extensions: { code: 'UNAUTHENTICATED' } }] },
    'with the other role it subscribes again',
  )
  sse.dispose()
  sseOfBob.dispose()
})

t.test('a file with a fault keeps the old tokens, is told once, and so is its mending', async (t) => {
  const good = entry('alice', 'operator', 'good')
  const { service, path, write, statusOf, faultOf } = await setUp(t, good)
  const told = () =>
    service.lines
      .filter(({ event }) => String(event).startsWith('tokens '))
      .map(({ event, reason }) => [event, reason])
  const faults: [lines: string[], fault: RegExp][] = [
    [['alice:operator:the-token-itself'], /^API_TOKENS_FILE: line 1 is not name:role:sha256/],
    [[''], /^API_TOKENS_FILE: it names no token\.$/],
    [
      [good, entry('bob', 'viewer', 'good')],
      /^API_TOKENS_FILE: line 2 has the same token as another entry\.$/,
    ],
  ]
  for (const [lines, fault] of faults) {
    await write(...lines)
    await until('the fault to be told', async () => fault.test((await faultOf()) ?? ''))
    t.equal(await statusOf('good'), 200)
  }
  t.equal((await service.call('GET', '/status')).status, 200, 'the service as a whole is well')
  await unlink(path)
  await until('the file to be missed', async () => /cannot be read/.test((await faultOf()) ?? ''))
  t.equal(await statusOf('good'), 200, 'nobody is let in without a token, nor kept out with one')
  t.equal(await statusOf('another'), 401)
  await write(good)
  await until('the file to be mended', async () => (await faultOf()) === null)
  const unusable = 'tokens cannot be used; the old ones stay in use'
  t.match(told(), [[unusable], [unusable], [unusable], [unusable], ['tokens can be used again']])
  t.notMatch(JSON.stringify(told()), 'the-token-itself')
})

t.test('a secret that is mounted, and replaced by changing a link, is read again', async (t) => {
  const { folder, path, statusOf } = await setUp(t, entry('alice', 'operator', 'old'))
  for (const [version, token] of [
    ['v1', 'old'],
    ['v2', 'new'],
  ] as const) {
    await mkdir(join(folder, version))
    await writeFile(join(folder, version, 'tokens'), entry('alice', 'operator', token))
  }
  // As Kubernetes does it: the file is a link into ..data, which is a link to the folder of the version.
  const point = async (version: string) => {
    await symlink(version, join(folder, '..data.new'))
    await rename(join(folder, '..data.new'), join(folder, '..data'))
  }
  await point('v1')
  await unlink(path)
  await symlink(join('..data', 'tokens'), path)
  t.equal(await statusOf('old'), 200)
  await point('v2')
  await until('the new token to be valid', async () => (await statusOf('new')) === 200)
  t.equal(await statusOf('old'), 401)
})
