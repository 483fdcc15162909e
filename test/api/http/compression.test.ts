import { request } from 'node:http'
import { gunzipSync } from 'node:zlib'
import t from 'tap'
import { database } from '../../support/database.ts'
import { startService, storeDeadLetters } from '../service.ts'

type Answer = { encoding: string | undefined; vary: string | undefined; length: number; body: Buffer }

/** fetch would undo the encoding. */
async function load(
  port: number,
  path: string,
  headers: Record<string, string>,
  body?: string,
): Promise<Answer> {
  const method = body === undefined ? 'GET' : 'POST'
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, method, agent: false, headers })
    asked.on('error', reject).end(body)
    asked.on('response', (response) => {
      const chunks: Buffer[] = []
      response
        .on('data', (chunk: Buffer) => chunks.push(chunk))
        .on('end', () => {
          const { 'content-encoding': encoding, vary, 'content-length': length } = response.headers
          resolve({ encoding, vary, length: Number(length), body: Buffer.concat(chunks) })
        })
    })
  })
}

t.test('an answer is compressed where gzip is asked for, and is the same', async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  await storeDeadLetters(
    pool,
    Array.from({ length: 200 }, (_, at) => `tx-${at}`),
  )
  const query = JSON.stringify({ query: '{ messages(first: 100) { nodes { transactionId errorMessage } } }' })
  const json = { 'Content-Type': 'application/json' }
  for (const [path, headers, body] of [
    ['/transactions?limit=200', {}, undefined],
    ['/graphql', json, query],
    [
      `/graphql?query=${encodeURIComponent('{ messages(first: 100) { nodes { transactionId } } }')}`,
      {},
      undefined,
    ],
  ] as const) {
    const plain = await load(port, path, headers, body)
    const packed = await load(port, path, { ...headers, 'Accept-Encoding': 'gzip, deflate, br' }, body)
    t.match(plain, { encoding: undefined, length: plain.body.length }, path)
    t.match(packed, { encoding: 'gzip', length: packed.body.length })
    t.match([plain.vary, packed.vary], [/Accept-Encoding/i, /Accept-Encoding/i], 'a cache keeps them apart')
    t.ok(gunzipSync(packed.body).equals(plain.body))
    t.ok(packed.body.length < plain.body.length / 3, `${plain.body.length} → ${packed.body.length} bytes`)
    const refused = await load(port, path, { ...headers, 'Accept-Encoding': 'gzip;q=0, identity' }, body)
    t.equal(refused.encoding, undefined)
  }
  const scrape = { Accept: 'text/plain', 'Accept-Encoding': 'gzip' }
  t.match(await load(port, '/metrics', scrape), { encoding: 'gzip' }, 'as Prometheus asks')
})

t.test('what is small, and what is a stream, is not compressed', async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  const gzip = { 'Accept-Encoding': 'gzip' }
  t.equal((await load(port, '/healthz', gzip)).encoding, undefined)
  const query = encodeURIComponent('subscription { messageEvents(positionsEverySeconds: 60) { cursor } }')
  const over = new AbortController()
  const stream = await fetch(`http://127.0.0.1:${port}/graphql?query=${query}`, {
    headers: { ...gzip, Accept: 'text/event-stream' },
    signal: over.signal,
  })
  t.equal(stream.headers.get('content-type'), 'text/event-stream')
  t.equal(stream.headers.get('content-encoding'), null)
  over.abort()
})
