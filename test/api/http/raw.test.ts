import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import { database } from '../../support/database.ts'
import { until } from '../../support/until.ts'
import { startService } from '../service.ts'

const host = 'Host: localhost\r\n'
const end = 'Connection: close\r\n\r\n'
const json = 'Content-Type: application/json\r\n'
const asked = '{"query":"{ viewer { name } }"}'
const chunked = `POST /graphql HTTP/1.1\r\n${host}${json}Transfer-Encoding: chunked\r\n`
const keptAlive = `GET /transactions HTTP/1.1\r\n${host}\r\n`
const posted = (body: string, headers = '') =>
  `POST /graphql HTTP/1.1\r\n${host}${json}${headers}Content-Length: ${Buffer.byteLength(body)}\r\n${end}${body}`
const got = (target: string, headers = '') => `GET ${target} HTTP/1.1\r\n${host}${headers}${end}`

/** What goes over the line, byte for byte, and the statuses of the answers to it, in order; none where the line is cut. */
const cases: [name: string, bytes: string | Buffer, statuses: number[]][] = [
  ['no HTTP at all', 'nonsense\r\n\r\n', [400]],
  ['a TLS greeting', Buffer.from('160301020001000001fc0303', 'hex'), [400]],
  ['the preface of HTTP/2', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', [400]],
  ['no version', `GET /healthz\r\n${host}\r\n`, [505]],
  ['HTTP/0.9', 'GET /healthz\r\n\r\n', [505]],
  ['HTTP/1.2', `GET /healthz HTTP/1.2\r\n${host}${end}`, [400]],
  ['HTTP/3.0', `GET /healthz HTTP/3.0\r\n${host}${end}`, [400]],
  ['http in lower case', `GET /healthz http/1.1\r\n${host}${end}`, [400]],
  // RFC 9112 §3 lets a server be lenient here.
  ['two spaces after the target', `GET /healthz  HTTP/1.1\r\n${host}${end}`, [200]],
  ['a space in the target', `GET /heal thz HTTP/1.1\r\n${host}${end}`, [400]],
  ['a tab for a space', `GET\t/healthz\tHTTP/1.1\r\n${host}${end}`, [400]],
  ['no target', `GET HTTP/1.1\r\n${host}${end}`, [400]],
  ['a target without a slash', `GET healthz HTTP/1.1\r\n${host}${end}`, [400]],
  ['an empty line before the request', `\r\n\r\n${got('/healthz')}`, [200]],
  ['bytes beyond ASCII in the target', `GET /\xff\xfe HTTP/1.1\r\n${host}${end}`, [400]],
  ['NUL in the target', `GET /\0 HTTP/1.1\r\n${host}${end}`, [400]],
  ['an unknown method', `BREW /healthz HTTP/1.1\r\n${host}${end}`, [400]],
  ['a method in lower case', `get /healthz HTTP/1.1\r\n${host}${end}`, [400]],
  ['a method that is known and not allowed', `PROPFIND /healthz HTTP/1.1\r\n${host}${end}`, [405]],
  ['TRACE', `TRACE /healthz HTTP/1.1\r\n${host}${end}`, [405]],
  ['OPTIONS', `OPTIONS /healthz HTTP/1.1\r\n${host}${end}`, [405]],
  ['OPTIONS of all', `OPTIONS * HTTP/1.1\r\n${host}${end}`, [404]],
  ['GET of all', got('*'), [404]],
  ['CONNECT', `CONNECT localhost:80 HTTP/1.1\r\n${host}${end}`, [404]],
  ['HEAD', `HEAD /healthz HTTP/1.1\r\n${host}${end}`, [200]],
  ['an absolute target', got('http://localhost/healthz'), [200]],
  ['an absolute target of another host', got('http://other.example/healthz'), [200]],
  ['an absolute target of another scheme', got('ftp://localhost/healthz'), [404]],
  ['a path that climbs', got('/../../etc/passwd'), [404]],
  ['a path that climbs back', got('/x/../healthz'), [404]],
  ['a path that climbs, encoded', got('/%2e%2e/%2e%2e/etc/passwd'), [404]],
  ['a path encoded twice', got('/%252e%252e/healthz'), [404]],
  ['a route in percent signs', got('/%68ealthz'), [404]],
  ['a slash in front', got('//healthz'), [404]],
  ['a slash at the end', got('/healthz/'), [404]],
  ['a backslash', got('/\\healthz'), [404]],
  ['a semicolon', got('/healthz;x=1'), [404]],
  ['a query', got('/healthz?x=%ff&&=&a[]=1'), [200]],
  ['a broken percent sign', `POST /replay/%zz HTTP/1.1\r\n${host}Content-Length: 0\r\n${end}`, [400]],
  ['an id that is no UTF-8', `POST /replay/%ff HTTP/1.1\r\n${host}Content-Length: 0\r\n${end}`, [400]],
  ['an id with an encoded slash', `POST /replay/a%2fb HTTP/1.1\r\n${host}Content-Length: 0\r\n${end}`, [404]],
  ['no Host', `GET /healthz HTTP/1.1\r\n${end}`, [400]],
  ['Host twice', `GET /healthz HTTP/1.1\r\n${host}${host}${end}`, [400]],
  ['an empty Host', `GET /healthz HTTP/1.1\r\nHost:\r\n${end}`, [200]],
  ['HTTP/1.0 without Host', 'GET /healthz HTTP/1.0\r\n\r\n', [200]],
  [
    'HTTP/1.0 kept alive',
    `GET /healthz HTTP/1.0\r\nConnection: keep-alive\r\n\r\n${got('/healthz')}`,
    [200, 200],
  ],
  ['bare line feeds', 'GET /healthz HTTP/1.1\nHost: localhost\nConnection: close\n\n', [400]],
  ['a bare carriage return', `GET /healthz HTTP/1.1\r\nHost: localhost\rX: 1\r\n${end}`, [400]],
  ['a header without a colon', `GET /healthz HTTP/1.1\r\n${host}nonsense\r\n${end}`, [400]],
  ['a header without a name', `GET /healthz HTTP/1.1\r\n${host}: x\r\n${end}`, [400]],
  ['a space before the colon', `GET /healthz HTTP/1.1\r\n${host}X : 1\r\n${end}`, [400]],
  ['a folded header', `GET /healthz HTTP/1.1\r\n${host}X: 1\r\n 2\r\n${end}`, [400]],
  ['NUL in a header', `GET /healthz HTTP/1.1\r\n${host}X: a\0b\r\n${end}`, [400]],
  ['bytes beyond ASCII in a header', got('/healthz', 'X: \xe4\xff\r\n'), [200]],
  ['a header of 20 KB', got('/healthz', `X: ${'x'.repeat(20_000)}\r\n`), [431]],
  ['a target of 20 KB', got(`/${'x'.repeat(20_000)}`), [431]],
  ['a header of __proto__', got('/healthz', '__proto__: x\r\nconstructor: y\r\n'), [200]],
  ['a body to GET', `GET /healthz HTTP/1.1\r\n${host}Content-Length: 5\r\n${end}hello`, [200]],
  ['a body that is asked for', posted(asked), [200]],
  ['length and chunks', `${chunked}Content-Length: 5\r\n${end}0\r\n\r\n`, [400]],
  ['chunks and length', posted('0\r\n\r\n', 'Transfer-Encoding: chunked\r\n'), [400]],
  ['two lengths', posted(asked, 'Content-Length: 1\r\n'), [400]],
  ['the same length twice', posted(asked, `Content-Length: ${asked.length}\r\n`), [400]],
  ['a list of lengths', `POST /graphql HTTP/1.1\r\n${host}Content-Length: 1, 1\r\n${end}x`, [400]],
  ['a length below nothing', `POST /graphql HTTP/1.1\r\n${host}Content-Length: -1\r\n${end}`, [400]],
  ['a length with a sign', `POST /graphql HTTP/1.1\r\n${host}Content-Length: +1\r\n${end}x`, [400]],
  ['a length in hexadecimal', `POST /graphql HTTP/1.1\r\n${host}Content-Length: 0x1\r\n${end}x`, [400]],
  [
    'a length beyond all numbers',
    `POST /graphql HTTP/1.1\r\n${host}Content-Length: ${'9'.repeat(30)}\r\n${end}`,
    [400],
  ],
  ['chunks', `${chunked}${end}${asked.length.toString(16)}\r\n${asked}\r\n0\r\n\r\n`, [200]],
  [
    'chunks with extensions and trailers',
    `${chunked}${end}${asked.length.toString(16)};a=b\r\n${asked}\r\n0\r\nX: 1\r\n\r\n`,
    [200],
  ],
  ['a chunk of no size', `${chunked}${end}zz\r\nhello\r\n0\r\n\r\n`, [400]],
  ['a chunk of a size below nothing', `${chunked}${end}-1\r\nhello\r\n0\r\n\r\n`, [400]],
  ['a chunk of a size beyond all numbers', `${chunked}${end}${'f'.repeat(20)}\r\nhello\r\n`, [400]],
  ['a chunk longer than its size', `${chunked}${end}1\r\nhello\r\n0\r\n\r\n`, [400]],
  [
    'chunks that are not the last coding',
    `POST /graphql HTTP/1.1\r\n${host}Transfer-Encoding: chunked, gzip\r\n${end}`,
    [400],
  ],
  [
    'a coding that nobody knows',
    `POST /graphql HTTP/1.1\r\n${host}Transfer-Encoding: xchunked\r\n${end}`,
    [400],
  ],
  [
    'a body that is no UTF-8',
    Buffer.from(`POST /replay/x HTTP/1.1\r\n${host}Content-Length: 14\r\n${end}{"reason":"\xff"}`, 'latin1'),
    [400],
  ],
  ['a body that is no JSON', posted('{"query":'), [400]],
  ['a body with a byte order mark', posted(`\ufeff${asked}`), [400]],
  ['no type of the body', `POST /graphql HTTP/1.1\r\n${host}Content-Length: 2\r\n${end}{}`, [415]],
  [
    'a body that is announced as too long',
    `POST /replay/x HTTP/1.1\r\n${host}Content-Length: 70000\r\n${end}${'x'.repeat(70_000)}`,
    [413],
  ],
  ['an expectation that is met', posted(asked, 'Expect: 100-continue\r\n'), [100, 200]],
  ['an expectation that is not', posted(asked, 'Expect: miracles\r\n'), [417]],
  ['two requests at once', `GET /healthz HTTP/1.1\r\n${host}\r\n${got('/nothing')}`, [200, 404]],
  [
    'five requests at once',
    `GET /healthz HTTP/1.1\r\n${host}\r\n`.repeat(4) + got('/healthz'),
    [200, 200, 200, 200, 200],
  ],
  ['nonsense behind a request', `GET /healthz HTTP/1.1\r\n${host}\r\nnonsense\r\n\r\n`, [200, 400]],
  [
    'nonsense behind requests that ask the database',
    `GET /transactions HTTP/1.1\r\n${host}\r\n`.repeat(3) + 'nonsense\r\n\r\n',
    [200, 200, 200, 400],
  ],
  ['nonsense behind the last request', `${got('/transactions')}nonsense\r\n\r\n`, [200]],
  ['a broken body behind a request', `${keptAlive}${chunked}${end}zz\r\nhello\r\n0\r\n\r\n`, [200, 400]],
  ['an end after half a request behind another', `${keptAlive}GET /heal`, [200, 400]],
  ['an end after half a body behind another', `${keptAlive}${chunked}\r\n5\r\nhe`, [200, 400]],
  ['an end after half a header', `GET /healthz HTTP/1.1\r\nHos`, [400]],
  ['an end after half a body', `POST /replay/x HTTP/1.1\r\n${host}Content-Length: 10\r\n\r\nhe`, [400]],
  ['an end after nothing', '', []],
]

/** Sends, ends its own side, and reads to the end. */
async function send(port: number, bytes: string | Buffer): Promise<string> {
  // Half of it stays open: the answer to what was sent is read all the same.
  const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true })
  let answer = ''
  socket.setEncoding('latin1').on('data', (text: string) => (answer += text))
  socket.on('error', () => undefined)
  const closed = once(socket, 'close')
  socket.on('end', () => socket.end())
  await once(socket, 'connect')
  socket.write(typeof bytes === 'string' ? Buffer.from(bytes, 'utf8') : bytes)
  if (bytes.length === 0 || !/close|HTTP\/1\.0|nonsense/.test(bytes.toString())) socket.end()
  await closed
  return answer
}

function statusesOf(answer: string): number[] {
  return [...answer.matchAll(/HTTP\/1\.1 (\d{3}) /g)].map(([, status]) => Number(status))
}

t.test('each case of raw HTTP has its answer, and the service lives on', async (t) => {
  const { pool } = await database(t)
  const { port, call, lines } = await startService(t, pool)
  const answers = new Map<string, string>()
  for (const [name, bytes] of cases)
    void send(port, bytes).then(
      (answer) => answers.set(name, answer),
      (error: unknown) => answers.set(name, String(error)),
    )
  await until('every answer', () => answers.size === cases.length)
  for (const [name, , statuses] of cases) {
    t.strictSame(statusesOf(answers.get(name)!), statuses, name)
    if (statuses.some((status) => status >= 400)) t.match(answers.get(name), /\{"(detail|errors)":/, name)
  }
  t.notMatch(answers.get('HEAD'), 'alive', 'no body follows HEAD')
  t.equal((await call('GET', '/healthz')).status, 200)
  t.strictSame(
    lines.filter(({ level }) => Number(level) >= 50),
    [],
    'none of it is an error of ours',
  )
})
