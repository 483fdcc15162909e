import { createHash } from 'node:crypto'
import { brotliDecompressSync, gunzipSync } from 'node:zlib'
import { getIntrospectionQuery, parse, print } from 'graphql'
import t from 'tap'
import { examples } from '../../../src/api/playground/examples.ts'
import { findBrowser, openPage } from '../../support/browser.ts'
import { database } from '../../support/database.ts'
import { startProxy } from '../../support/proxy.ts'
import { until } from '../../support/until.ts'
import { startService, store, storeDeadLetters, storeSuccesses, well } from '../service.ts'
import { graphql } from './graphql.ts'
import { Playground } from './playground.ts'

const browser = findBrowser()
const skip = browser === null && 'no chromium or google-chrome on the PATH: apt-get install chromium'
const html = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'

t.test('a browser is led from / to the console, and a program is not', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  t.match(await call('GET', '/', { headers: { accept: html } }), {
    status: 303,
    headers: { location: 'console', vary: 'Accept' },
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

t.test('on a first visit one click opens a tab, and a reload comes back to it', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  const { page } = await openPage(t, browser ?? '')
  const playground = new Playground(page)
  await playground.open(`http://127.0.0.1:${port}/graphql`)
  const names = await playground.tabs()
  for (const name of names.toReversed()) await playground.choose(name)
  for (const name of [names[0]!, names[4]!, names.at(-1)!]) {
    await playground.choose(name)
    await playground.reload()
    t.equal(await playground.chosen(), name)
    t.strictSame(await playground.tabs(), names, name)
  }
})

t.test(
  'each operation of the tabs runs in a browser, with no request to any other host',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port, lines } = await startService(t, pool)
    await storeDeadLetters(pool, ['refused-1', 'refused-2'])
    await storeSuccesses(pool, ['paid-1', 'paid-2'])
    const { page, refused, faults } = await openPage(t, browser ?? '')
    const playground = new Playground(page)
    await playground.open(`http://127.0.0.1:${port}/graphql`)
    const names = examples.map(({ query }) => /^(?:query|mutation|subscription) (\w+)/m.exec(query)![1]!)
    t.strictSame(await playground.tabs(), names)
    for (const [at, name] of names.entries()) {
      await playground.choose(name)
      const answer = await playground.run()
      t.match(answer, /^\{\n *"data": \{/, name)
      t.notMatch(answer, /"errors"/, name)
      if (examples[at]!.begin !== undefined) {
        t.match(answer, /"(refused|paid)-\d"|"status": "/, `${name} shows what is there`)
        t.notMatch(answer, /^ {4}"(message|record)": null|NotFound/m, name)
      }
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

t.test(
  'an example that was opened before there was anything begins with what is there when it is run',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port } = await startService(t, pool)
    const { page } = await openPage(t, browser ?? '')
    const playground = new Playground(page)
    await playground.open(`http://127.0.0.1:${port}/graphql`)
    await playground.choose('Audit')
    await until('the blank', async () => (await playground.variables()).includes('"ID of a transaction"'))
    await storeSuccesses(pool, ['paid-1'])
    t.match(await playground.run(), '"transactionId": "paid-1"')
    await until('the id in its editor', async () => (await playground.variables()).includes('"paid-1"'))
    await playground.reload()
    t.equal(await playground.chosen(), 'Audit')
    await until('the id after a reload', async () => (await playground.variables()).includes('"paid-1"'))
    await playground.choose('Replay')
    t.match(await playground.run(), '"__typename": "NotReplayable"', 'to try it out sends nothing')
  },
)

t.test('a link with a query opens it in a tab, which a reload keeps', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  const { page } = await openPage(t, browser ?? '')
  const playground = new Playground(page)
  const query = 'query Linked { viewer { name } }'
  await playground.open(`http://127.0.0.1:${port}/graphql?query=${encodeURIComponent(query)}`)
  for (const act of [() => Promise.resolve(), () => playground.reload()]) {
    await act()
    t.equal(await playground.chosen(), 'Linked')
    t.match(await playground.run(), '"anonymous"')
    t.equal((await playground.tabs()).filter((name) => name === 'Linked').length, 1)
    t.equal(page.url(), `http://127.0.0.1:${port}/graphql`)
  }
})

t.test(
  'a stream that is cut off keeps its last answer in sight, says so, and goes on after its cursor',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port, events } = await startService(t, pool)
    const proxy = await startProxy(t, { host: '127.0.0.1', port })
    const { page } = await openPage(t, browser ?? '')
    const asked: (string | null)[] = []
    page.on('request', (request) => {
      const body = request.postData() ?? ''
      if (body.includes('messageEvents('))
        asked.push((JSON.parse(body) as { variables?: { after?: string } }).variables?.after ?? null)
    })
    const playground = new Playground(page)
    await playground.open(`http://127.0.0.1:${proxy.port}/graphql`)
    await playground.choose('LiveEvents')
    await playground.run()
    await store(pool, ['live-1'])
    events.give()
    await until('the event of live-1', async () => (await playground.answer()).includes('"live-1"'))
    const [, cursor = ''] = /"cursor": "([^"]+)"/.exec(await playground.answer()) ?? []
    await proxy.refuse(true)
    proxy.cut()
    await until('word of the cut', async () => (await playground.answer()).includes('"cutOff"'))
    t.match(await playground.answer(), '"live-1"', 'the last answer is still in sight')
    t.match(await playground.answer(), `"after": "${cursor}"`)
    await store(pool, ['live-2'])
    await proxy.refuse(false)
    // What came meanwhile, or already the place after it.
    await until('an answer after the cut', async () => !(await playground.answer()).includes('"live-1"'))
    await store(pool, ['live-3'])
    events.give()
    await until('the event of live-3', async () => (await playground.answer()).includes('"live-3"'))
    t.match(await playground.answer(), '"cutOff"', 'it still says that it was cut off')
    t.strictSame([asked[0], new Set(asked.slice(1))], [null, new Set([cursor])])
    await playground.press()
    const count = asked.length
    proxy.cut()
    await playground.choose('Overview')
    await playground.run()
    t.equal(asked.length, count, 'what was stopped does not go on')
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

t.test('with tokens the page opens, and one that is given once is that of all tabs', { skip }, async (t) => {
  const { pool } = await database(t)
  const hash = (token: string) => createHash('sha256').update(token).digest('hex')
  const access = {
    tokens: [
      { name: 'victor', role: 'viewer', sha256: hash('victor-secret') },
      { name: 'olga', role: 'operator', sha256: hash('olga-secret') },
    ],
    open: false,
    introspection: true,
  } as const
  const { port } = await startService(t, pool, () => well, access)
  const { page } = await openPage(t, browser ?? '')
  const playground = new Playground(page)
  await playground.open(`http://127.0.0.1:${port}/graphql`)
  await playground.press()
  await until('a refusal', async () => (await playground.answer()).includes('A token is needed'))
  await playground.giveToken('victor-secret')
  t.match(await playground.heading(), 'victor, viewer')
  for (const name of ['Overview', 'LiveMetrics', 'Log']) {
    await playground.choose(name)
    t.match(await playground.run(), '"data": {', `${name}, with the token that was given once`)
  }
  await playground.choose('Overview')
  await playground.sendHeaders({ Authorization: 'Bearer olga-secret' })
  t.match(await playground.run(), '"olga"', 'a token in the headers of a tab')
  await until('its holder', async () => (await playground.heading()).includes('olga, operator'))
  await playground.choose('Log')
  t.match(await playground.run(), '"data": {', 'is that of all tabs')
  await playground.reload()
  await until('its holder again', async () => (await playground.heading()).includes('olga, operator'))
  const kept = await page.evaluate(() => JSON.stringify(globalThis.localStorage))
  t.notMatch(kept, /victor-secret|olga-secret/, 'the browser does not keep the token')
  await page.getByRole('button', { name: 'Forget token' }).click()
  await page.getByLabel('Token', { exact: true }).waitFor()
})

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
