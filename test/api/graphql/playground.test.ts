import { createHash } from 'node:crypto'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { getIntrospectionQuery, parse, print } from 'graphql'
import t from 'tap'
import { examples } from '../../../src/api/playground/examples.ts'
import { findBrowser, openPage } from '../../support/browser.ts'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { startService, store, storeDeadLetters, well } from '../service.ts'
import { graphql } from './graphql.ts'
import { Playground } from './playground.ts'

const browser = findBrowser()
const skip = browser === null && 'no chromium or google-chrome on the PATH: apt-get install chromium'
const html = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

t.test('a browser is led from / to the page, and a program is not', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  t.match(await call('GET', '/', { headers: { accept: html } }), {
    status: 303,
    headers: { location: 'graphql', vary: 'Accept' },
  })
  for (const accept of ['*/*', 'application/json', 'application/json, text/html;q=0.5'])
    t.match(await call('GET', '/', { headers: { accept } }), { status: 200, json: { routes: [] } }, accept)
})

t.test('the page is served compressed, once, and lets nothing in but itself', async (t) => {
  const { pool } = await database(t)
  const access = {
    tokens: [{ name: 'alice', role: 'operator', sha256: 'ab'.repeat(32) }],
    open: false,
    introspection: true,
  } as const
  const { port } = await startService(t, pool, () => well, access)
  // fetch would undo the encoding.
  const load = async (headers: Record<string, string>, method = 'GET') => {
    const { request } = await import('node:http')
    return new Promise<{ status: number; headers: Record<string, string>; body: Buffer }>(
      (resolve, reject) => {
        const asked = request({ host: '127.0.0.1', port, path: '/graphql', method, agent: false, headers })
        asked.on('error', reject).end()
        asked.on('response', (response) => {
          const chunks: Buffer[] = []
          response
            .on('data', (chunk: Buffer) => chunks.push(chunk))
            .on('end', () => {
              const body = Buffer.concat(chunks)
              resolve({
                status: response.statusCode!,
                headers: response.headers as Record<string, string>,
                body,
              })
            })
        })
      },
    )
  }
  const brotli = await load({ accept: html, 'accept-encoding': 'gzip, deflate, br' })
  const gzip = await load({ accept: html, 'accept-encoding': 'gzip, br;q=0' })
  const plain = await load({ accept: html })
  t.match(
    [brotli, gzip],
    [{ headers: { 'content-encoding': 'br' } }, { headers: { 'content-encoding': 'gzip' } }],
  )
  t.notOk('content-encoding' in plain.headers)
  t.ok(brotliDecompressSync(brotli.body).equals(plain.body) && gunzipSync(gzip.body).equals(plain.body))
  t.ok(brotli.body.length < plain.body.length / 4)
  const { etag = '', 'content-security-policy': policy = '' } = brotli.headers
  t.match(await load({ accept: html, 'accept-encoding': 'br', 'if-none-match': etag }), {
    status: 304,
    body: { length: 0 },
  })
  t.match(await load({ accept: html, 'accept-encoding': 'gzip', 'if-none-match': etag }), { status: 200 })
  t.match(await load({ accept: html, 'accept-encoding': 'br' }, 'HEAD'), { status: 200, body: { length: 0 } })
  const [, script = ''] = /<script>([^]*?)<\/script>/.exec(plain.body.toString()) ?? []
  t.match(policy, `'sha256-${createHash('sha256').update(script).digest('base64')}'`)
  t.notMatch(policy, /unsafe-eval|script-src[^;]*unsafe-inline|https?:/)
  t.notMatch(plain.body.toString(), 'ab'.repeat(32))
})

t.test(
  'each operation of the tabs runs in a browser, with no request to any other host',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port, lines } = await startService(t, pool)
    await storeDeadLetters(pool, ['tx-1', 'tx-2'])
    const { page, refused, faults } = await openPage(t, browser ?? '')
    const playground = new Playground(page)
    await playground.open(`http://127.0.0.1:${port}/`)
    const names = examples.map(({ query }) => /^(?:query|mutation|subscription) (\w+)/m.exec(query)![1]!)
    t.strictSame(await playground.tabs(), names)
    for (const [at, name] of names.entries()) {
      await playground.choose(name)
      const answer = await playground.run()
      t.match(answer, /^\{\n *"data": \{/, name)
      t.notMatch(answer, /"errors"/, name)
      // A subscription goes on until its button is pressed again.
      if (examples[at]!.query.includes('\nsubscription ')) await playground.press()
    }
    t.strictSame(refused, [])
    t.strictSame(faults, [])
    t.strictSame(
      lines.filter(({ level }) => Number(level) >= 40),
      [],
    )
  },
)

t.test('a live subscription goes on in the browser as events come in', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port, events } = await startService(t, pool)
  const { page, refused } = await openPage(t, browser ?? '')
  const playground = new Playground(page)
  await playground.open(`http://127.0.0.1:${port}/graphql`)
  await playground.choose('LiveEvents')
  t.match(await playground.run(), '"caughtUp"', 'where the log ends now')
  for (const id of ['live-1', 'live-2']) {
    await store(pool, [id])
    events.give()
    await until(`the event of ${id}`, async () => (await playground.answer()).includes(`"${id}"`))
  }
  t.strictSame(refused, [])
})

t.test(
  'with tokens the page opens, and asks in the name of the token in its headers',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const sha256 = createHash('sha256').update('victor-secret').digest('hex')
    const access = {
      tokens: [{ name: 'victor', role: 'viewer', sha256 }],
      open: false,
      introspection: true,
    } as const
    const { port } = await startService(t, pool, () => well, access)
    const { page } = await openPage(t, browser ?? '')
    const playground = new Playground(page)
    await playground.open(`http://127.0.0.1:${port}/graphql`)
    await playground.press()
    await until('a refusal', async () => (await playground.answer()).includes('A token is needed'))
    await playground.sendHeaders({ Authorization: 'Bearer victor-secret' })
    await playground.press()
    await until('the viewer', async () => (await playground.answer()).includes('"victor"'))
    const kept = await page.evaluate(() => JSON.stringify(globalThis.localStorage))
    t.notMatch(kept, 'victor-secret', 'the browser does not keep the token')
  },
)

t.test(
  'the examples pass all limits, and so does the question by which the page learns the schema',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool)
    await storeDeadLetters(pool, ['tx-1', 'tx-2'])
    const introspection = getIntrospectionQuery({ schemaDescription: true, inputValueDeprecation: true })
    t.match(await graphql(service, introspection), { errors: undefined, data: { __schema: {} } })
    for (const { query, variables } of examples.filter((each) => !each.query.includes('\nsubscription ')))
      t.match(await graphql(service, query, { ...variables }), { errors: undefined, data: {} }, query)
  },
)

t.test('an example is a document that reads and prints, named after its one operation', (t) => {
  for (const { query } of examples)
    t.equal(parse(query).definitions.length, 1, print(parse(query)).slice(0, 40))
  t.end()
})
