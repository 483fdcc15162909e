import { getEventListeners, once } from 'node:events'
import { createServer, type RequestListener } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { createServer as createPlainServer, type AddressInfo, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import t, { type Test } from 'tap'
import { configure } from '../../src/config.ts'
import { createInquirer } from '../../src/deliver/inquire.ts'
import { Tls } from '../../src/runtime/tls.ts'
import { makeCertificates } from '../support/certificates.ts'

const payment = { idempotencyKey: 'arpplfgyduxscngwcfi624jgbwhxtzsx', transactionId: 'tx/1?é' }
const never = new AbortController().signal

async function listen(
  t: Test,
  answer: RequestListener,
  secure?: { cert: string; key: string },
): Promise<string> {
  const server = secure === undefined ? createServer(answer) : createSecureServer(secure, answer)
  server.listen(0, 'localhost')
  await once(server, 'listening')
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return `${secure === undefined ? 'http' : 'https'}://localhost:${(server.address() as AddressInfo).port}`
}

/** An inquirer as the settings make it. */
function inquirer(settings: Record<string, string>, ca: string | null = null) {
  const read = configure(settings)
  if ('faults' in read) throw new Error(read.faults.join(' '))
  const { downstream } = read.config
  if (downstream.inquiry === null) throw new Error('there is no STATUS_URL')
  return createInquirer({
    ...downstream,
    ...downstream.inquiry,
    tls: new Tls(() => ({ ca, cert: null, key: null })),
  })
}

t.test('it asks by GET, with the payment in the path and the headers of the settings', async (t) => {
  const seen: object[] = []
  const url = await listen(t, ({ method, url, headers }, response) => {
    seen.push({ method, url, authorization: headers.authorization })
    response.end('{"status":"success"}')
  })
  const ask = inquirer({
    STATUS_URL: `${url}/payments/{idempotencyKey}?id={transactionId}`,
    DOWNSTREAM_HEADERS: '{"Authorization":"Bearer secret"}',
  })
  t.strictSame(await ask(payment, never), { answer: 'carried_out', statusCode: 200, reason: 'HTTP 200 OK' })
  t.strictSame(seen, [
    {
      method: 'GET',
      url: `/payments/${payment.idempotencyKey}?id=tx%2F1%3F%C3%A9`,
      authorization: 'Bearer secret',
    },
  ])
})

t.test('the first rule that fits says what an answer means; any other says nothing', async (t) => {
  let [status, body] = [200, '']
  const url = await listen(t, (_, response) => void response.writeHead(status).end(body))
  const defaults = inquirer({ STATUS_URL: `${url}/{idempotencyKey}` })
  const own = inquirer({
    STATUS_URL: `${url}/{idempotencyKey}`,
    STATUS_RULES: '2xx/data/0/paid=true:carried_out, 2xx/a~1b=7:refused,2xx:in_progress,410:not_found',
  })
  const rows: [number, string, ReturnType<typeof inquirer>, string][] = [
    [200, '{"status":"success"}', defaults, 'carried_out'],
    [200, '{"status":"failed"}', defaults, 'refused'],
    [200, '{"status":"pending"}', defaults, 'in_progress'],
    [404, '<h1>no</h1>', defaults, 'not_found'],
    [200, '{"status":"successful"}', defaults, 'no_answer'],
    [200, '{"status":["success"]}', defaults, 'no_answer'],
    [200, '', defaults, 'no_answer'],
    [201, '{"status":"success"}', defaults, 'no_answer'],
    [500, '{"status":"success"}', defaults, 'no_answer'],
    [302, '', defaults, 'no_answer'],
    [202, '{"data":[{"paid":true}]}', own, 'carried_out'],
    [202, '{"a/b":7}', own, 'refused'],
    [200, 'not JSON', own, 'in_progress'],
    [410, '', own, 'not_found'],
    [404, '', own, 'no_answer'],
  ]
  for (const [code, text, ask, expected] of rows) {
    status = code
    body = text
    t.match(await ask(payment, never), { answer: expected, statusCode: code }, `${code} ${text}`)
  }
})

t.test('of a body that is too long no rule about bodies is passed over', async (t) => {
  let status = 200
  const long = JSON.stringify({ history: 'x'.repeat(70_000), status: 'failed' })
  const url = await listen(t, (_, response) => void response.writeHead(status).end(long))
  const ask = inquirer({
    STATUS_URL: `${url}/{idempotencyKey}`,
    STATUS_RULES: '200/status=failed:refused,200:carried_out,404:not_found,404/code=1:refused',
  })
  t.strictSame(await ask(payment, never), {
    answer: 'no_answer',
    statusCode: 200,
    reason: 'HTTP 200 OK, and over 64 KiB of body',
  })
  status = 404
  t.match(await ask(payment, never), { answer: 'not_found' }, 'a rule before it that asks for no body')
})

t.test('an answer that knows the payment brings what the processor calls it', async (t) => {
  let [status, body] = [200, '']
  const url = await listen(t, (_, response) => {
    response.writeHead(status, { 'X-Payment-Id': 'from-header' }).end(body)
  })
  const settings = {
    STATUS_URL: `${url}/{idempotencyKey}`,
    STATUS_RULES: '202:in_progress,2xx/status=paid:carried_out,404:not_found',
  }
  const byBody = inquirer({ ...settings, REFERENCE: 'json:/id' })
  const byHeader = inquirer({ ...settings, REFERENCE: 'header:x-payment-id' })
  const text = 'x'.repeat(70_000)
  const rows: [number, string, typeof byBody, object][] = [
    [200, '{"status":"paid","id":12345678901234567891}', byBody, { text: '12345678901234567891' }],
    [200, '{"status":"paid","id":"4111-1111-1111-1111"}', byBody, { fault: 'card_number' }],
    [202, `{"status":"open","text":"${text}","id":"late"}`, byBody, { fault: 'body_too_long' }],
    [200, '{"status":"paid"}', byHeader, { text: 'from-header' }],
  ]
  for (const [code, given, ask, reference] of rows) {
    status = code
    body = given
    t.match(await ask(payment, never), { reference }, given.slice(0, 60))
  }
  for (const [code, given] of [
    [200, '{"status":"paid"}'],
    [404, '{"id":"error-1"}'],
    [500, '{"id":"error-1"}'],
  ] as const) {
    status = code
    body = given
    t.match(await byBody(payment, never), { reference: null }, `${code} ${given}`)
  }
})

t.test('what is no whole answer says nothing, and why', async (t) => {
  const silent = await listen(t, () => undefined)
  const ask = inquirer({ STATUS_URL: `${silent}/{idempotencyKey}`, DOWNSTREAM_TIMEOUT: '0.2' })
  t.strictSame(await ask(payment, never), {
    answer: 'no_answer',
    statusCode: null,
    reason: 'timeout after 0.2 s',
  })
  const broken = await listen(t, (_, response) => {
    response.writeHead(200, { 'Content-Length': '100' })
    response.write('{"status":"success"}', () => response.destroy())
  })
  t.match(await inquirer({ STATUS_URL: `${broken}/{idempotencyKey}` })(payment, never), {
    answer: 'no_answer',
    statusCode: null,
  })
  const stopping = new AbortController()
  const stopped = inquirer({ STATUS_URL: `${silent}/{idempotencyKey}` })(payment, stopping.signal)
  stopping.abort()
  t.match(await stopped, { answer: 'no_answer' })
})

t.test('an inquiry always ends, also after memory was collected, and leaves no listener', async (t) => {
  setFlagsFromString('--expose_gc')
  const collect = runInNewContext('gc') as () => void
  const sockets: Socket[] = []
  const listenWith = async (head: string): Promise<string> => {
    const server = createPlainServer((socket) => {
      sockets.push(socket)
      socket.on('error', () => undefined)
      socket.once('data', () => {
        if (head !== '') socket.write(head)
        collect()
      })
    })
    server.listen(0, 'localhost')
    await once(server, 'listening')
    t.teardown(() => {
      for (const socket of sockets) socket.destroy()
      server.close()
    })
    return `http://localhost:${(server.address() as AddressInfo).port}/{idempotencyKey}`
  }
  const { signal } = new AbortController()
  const timeout = 'timeout after 0.3 s'
  const rows: [string, string, string][] = [
    ['silence', '', timeout],
    ['a body that stalls', 'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{', timeout],
    ['a body of any length that stalls', 'HTTP/1.1 200 OK\r\n\r\n{', timeout],
    [
      'an upgrade',
      'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n',
      'HTTP 101: not asked for',
    ],
  ]
  for (const [name, head, reason] of rows) {
    const ask = inquirer({
      STATUS_URL: await listenWith(head),
      DOWNSTREAM_TIMEOUT: reason === timeout ? '0.3' : '30',
    })
    const asked = ask(payment, signal)
    collect()
    t.strictSame(await asked, { answer: 'no_answer', statusCode: null, reason }, name)
  }
  await Promise.all(sockets.filter(({ closed }) => !closed).map((socket) => once(socket, 'close')))
  t.strictSame(getEventListeners(signal, 'abort'), [])
})

t.test('a transaction id that leads to another address is not asked about', async (t) => {
  const seen: unknown[] = []
  const url = await listen(t, ({ url }, response) => {
    seen.push(url)
    response.writeHead(404).end()
  })
  const byId = inquirer({ STATUS_URL: `${url}/payments/{transactionId}/status` })
  for (const transactionId of ['.', '..'])
    t.strictSame(await byId({ ...payment, transactionId }, never), {
      answer: 'no_answer',
      statusCode: null,
      reason: `the transaction id "${transactionId}" cannot be part of an address`,
    })
  t.strictSame(seen, [])
  for (const transactionId of ['...', '%2e', '%2e%2e', '../x'])
    t.match(await byId({ ...payment, transactionId }, never), { answer: 'not_found' }, transactionId)
  t.strictSame(seen, [
    '/payments/.../status',
    '/payments/%252e/status',
    '/payments/%252e%252e/status',
    '/payments/..%2Fx/status',
  ])
  const byKey = inquirer({ STATUS_URL: `${url}/payments/{idempotencyKey}` })
  t.match(await byKey({ ...payment, transactionId: '..' }, never), { answer: 'not_found' })
})

t.test('a processor over TLS is asked only if its certificate is trusted', async (t) => {
  const { ca, server } = makeCertificates(t)
  const url = await listen(t, (_, response) => void response.writeHead(404).end(), server)
  const settings = { STATUS_URL: `${url}/{transactionId}` }
  t.match(await inquirer(settings, ca)(payment, never), { answer: 'not_found' })
  t.match(await inquirer(settings)(payment, never), { answer: 'no_answer', reason: /certificate/ })
})
