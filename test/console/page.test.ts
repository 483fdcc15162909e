import { gzipSync } from 'node:zlib'
import t from 'tap'
import { database } from '../support/database.ts'
import { startService } from '../api/service.ts'
import { build } from './watching.ts'

const html = 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'
const scriptBytesMax = 200 * 1024

t.before(build)

t.test('the page is one file that a policy seals, and its script is small', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const { status, headers, text } = await call('GET', '/console', { headers: { accept: html } })
  t.equal(status, 200)
  const policy = String(headers['content-security-policy'])
  t.match(policy, /default-src 'none'/)
  t.match(policy, /script-src 'sha256-[^']+';/)
  t.match(policy, /style-src 'sha256-[^']+';/)
  t.match(policy, /connect-src 'self';/)
  t.notMatch(policy, /unsafe|https?:|\*/)
  t.match(headers, { 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' })
  t.notMatch(text, /<(?:link|img|script|iframe)[^>]+(?:src|href)="(?!data:,")/, 'it loads nothing')
  const [, script = ''] = /<script>([^]*?)<\/script>/.exec(text) ?? []
  const bytes = gzipSync(script).length
  t.ok(bytes > 10_000 && bytes <= scriptBytesMax, `${bytes} bytes of script, gzipped`)
})

t.test('who has it is not sent it again, and nobody sends anything to it', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const first = await call('GET', '/console', { headers: { accept: html } })
  const again = await call('GET', '/console', {
    headers: { accept: html, 'if-none-match': String(first.headers.etag) },
  })
  t.match(again, { status: 304, text: '' })
  t.match(await call('HEAD', '/console'), { status: 200, text: '' })
  t.match(await call('POST', '/console', { body: '{}' }), { status: 405, headers: { allow: 'GET, HEAD' } })
})

t.test('with a slash behind it, it leads to the page', async (t) => {
  const { pool } = await database(t)
  const { call, port } = await startService(t, pool)
  const { status, headers } = await call('GET', '/console/', { headers: { accept: html } })
  t.equal(status, 303)
  t.equal(new URL(headers.location ?? '', `http://127.0.0.1:${port}/console/`).pathname, '/console')
})
