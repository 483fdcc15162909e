import { spawn } from 'node:child_process'
import { createServer, type TlsOptions } from 'node:tls'
import t, { type Test } from 'tap'
import type { Pems } from '../../src/runtime/tls.ts'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { answer, send, startDeliverer, startProcessor, until } from './processor.ts'

const certificates = makeCertificates(t)
const { ca, server, client, stranger } = certificates
const trusting = { ca, cert: null, key: null }
const trustingNobody = { ca: null, cert: null, key: null }

function startTls(t: Test, options: TlsOptions) {
  const listener = createServer(options)
  // A handshake that fails is what these tests are about.
  listener.on('tlsClientError', () => undefined)
  return startProcessor(t, (socket) => socket.write(answer('200 OK')), { server: listener })
}

t.test('a certificate of our own authority is trusted, and its connection used again', async (t) => {
  const processor = await startTls(t, server)
  const deliverer = startDeliverer(t, processor.url, { tls: trusting, connections: 1 })
  t.match(await send(deliverer, 'a'), { kind: 'accepted' })
  t.match(await send(deliverer, 'b'), { kind: 'accepted' })
  t.equal(processor.connections, 1)
})

t.test('a session is offered again until the certificate that it began with has expired', async (t) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const reused: boolean[] = []
    const listener = createServer({ ...server, maxVersion }, (socket) =>
      reused.push(socket.isSessionReused()),
    )
    const processor = await startProcessor(
      t,
      (socket) => socket.write(answer('200 OK', '', 'Connection: close\r\n')),
      { server: listener },
    )
    const deliverer = startDeliverer(t, processor.url, { tls: trusting, connections: 1 })
    t.match(await send(deliverer, 'a'), { kind: 'accepted' })
    t.match(await send(deliverer, 'b'), { kind: 'accepted' })
    const now = Date.now()
    const clock = t.capture(Date, 'now', () => now + 3 * 86_400_000)
    t.match(await send(deliverer, 'c'), { kind: 'accepted' })
    clock.restore()
    t.strictSame(reused, [false, true, false], maxVersion)
  }
})

t.test('an address instead of a name is checked against the certificate too', async (t) => {
  const processor = await startTls(t, server)
  const deliverer = startDeliverer(t, new URL(`https://127.0.0.1:${processor.url.port}/`), { tls: trusting })
  t.match(await send(deliverer), { kind: 'accepted' })
})

t.test('a client certificate is shown to a processor that asks for one', async (t) => {
  for (const maxVersion of ['TLSv1.2', 'TLSv1.3'] as const) {
    const processor = await startTls(t, { ...server, ca, requestCert: true, maxVersion })
    const deliverer = startDeliverer(t, processor.url, { tls: { ca, ...client } })
    t.match(await send(deliverer), { kind: 'accepted' }, maxVersion)
  }
})

t.test('a certificate that is not to be trusted is not sent, and says why', async (t) => {
  const refused: [
    name: string,
    options: TlsOptions,
    tls: typeof trusting | typeof trustingNobody,
    reason: RegExp,
  ][] = [
    [
      'an unknown authority',
      server,
      trustingNobody,
      /^TLS: unable to verify the first certificate \[UNABLE_TO_VERIFY_LEAF_SIGNATURE\]/,
    ],
    [
      'a certificate signed by itself',
      stranger,
      trusting,
      /^TLS: self-signed certificate \[DEPTH_ZERO_SELF_SIGNED_CERT\]/,
    ],
    ['another host', certificates.otherHost, trusting, /^TLS: the certificate is for another host/],
    [
      'an expired certificate',
      certificates.expired,
      trusting,
      /^TLS: certificate has expired \[CERT_HAS_EXPIRED\]/,
    ],
    [
      'no common version',
      { ...server, maxVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' },
      trusting,
      /^TLS: .*\[ERR_SSL_/,
    ],
  ]
  for (const [name, options, tls, reason] of refused) {
    const processor = await startTls(t, { ...options })
    const outcome = await send(startDeliverer(t, processor.url, { tls }))
    t.equal(outcome.kind, 'not_sent', name)
    t.match(outcome, { reason }, name)
    t.match(outcome, { reason: new RegExp(` \\(localhost:${processor.url.port}\\)$`) }, name)
    t.equal(processor.requests.length, 0, name)
  }
})

t.test('a processor that speaks no TLS, or hangs up in the handshake, is not sent', async (t) => {
  const plain = await startProcessor(t, () => undefined, {
    onConnection: (socket) => socket.end(answer('200 OK')),
  })
  const url = (port: string) => new URL(`https://localhost:${port}/`)
  t.match(await send(startDeliverer(t, url(plain.url.port))), {
    kind: 'not_sent',
    reason: /^TLS: wrong version number \[/,
  })
  const closing = await startProcessor(t, () => undefined, { onConnection: (socket) => socket.destroy() })
  t.match(await send(startDeliverer(t, url(closing.url.port))), {
    kind: 'not_sent',
    reason: /^TLS: connection closed during the handshake/,
  })
})

t.test('a handshake that is never answered is not sent at the deadline', async (t) => {
  const silent = await startProcessor(t, () => undefined)
  const deliverer = startDeliverer(t, new URL(`https://localhost:${silent.url.port}/`))
  t.strictSame(await send(deliverer, 'k', 200), { kind: 'not_sent', reason: 'timeout after 30 s, not sent' })
})

t.test('a missing client certificate is not sent in TLS 1.2, where the handshake ends with it', async (t) => {
  const processor = await startTls(t, { ...server, ca, requestCert: true, maxVersion: 'TLSv1.2' })
  const outcome = await send(startDeliverer(t, processor.url, { tls: trusting }))
  t.match(outcome, { kind: 'not_sent', reason: /^TLS: / })
  t.equal(processor.requests.length, 0)
})

const clientPem = (pair: Pair) => ({ ca, cert: pair.cert, key: pair.key })

t.test('a client certificate that is refused, or missing, is not sent, and says so', async (t) => {
  const refused: [name: string, tls: Pems, alert: string][] = [
    ['none', trusting, 'CERTIFICATE_REQUIRED'],
    ['of an unknown authority', clientPem(stranger), 'UNKNOWN_CA'],
    ['expired', clientPem(certificates.expired), 'CERTIFICATE_EXPIRED'],
  ]
  for (const [name, tls, alert] of refused) {
    const { url, output } = await startStrict(t)
    for (const body of [Buffer.from('{}'), Buffer.alloc(5 * 2 ** 20)]) {
      const delivery = { body, idempotencyKey: 'k', attempt: 1, traceparent: null }
      const outcome = await startDeliverer(t, url, { tls }).deliver(delivery, performance.now() + 30_000)
      t.equal(outcome.kind, 'not_sent', name)
      const reason = new RegExp(
        `^TLS: the processor refuses our certificate: .*ALERT_${alert}\\] \\(localhost:`,
      )
      t.match(outcome, { reason }, name)
    }
    t.notMatch(output(), /POST|Idempotency-Key/i, 'not a word of the request was read')
  }
  const { url, output } = await startStrict(t)
  const trusted = startDeliverer(t, url, { tls: clientPem(client) })
  t.match(
    await send(trusted, 'k', 2_000),
    { kind: 'unknown' },
    'it prints what it reads, and answers nothing',
  )
  t.match(output(), /POST .*\r?\n[^]*Idempotency-Key: k/i)
})

/** OpenSSL's own server, which sends alerts where Node's hangs up. It asks for a certificate, and prints what it reads. */
async function startStrict(t: Test): Promise<{ url: URL; output: () => string }> {
  const folder = t.testdir({ 'ca.pem': ca, 'cert.pem': server.cert, 'key.pem': server.key })
  const files = ['-CAfile', `${folder}/ca.pem`, '-cert', `${folder}/cert.pem`, '-key', `${folder}/key.pem`]
  const strict = ['-Verify', '1', '-verify_return_error', '-tls1_3']
  const child = spawn('openssl', ['s_server', '-accept', '127.0.0.1:0', ...files, ...strict])
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text))
  const accepts = /^ACCEPT \S+:(\d+)$/m
  await until(() => accepts.test(output))
  return { url: new URL(`https://localhost:${accepts.exec(output)?.[1]}/`), output: () => output }
}

t.test(
  'a processor that hangs up on our certificate without an alert leaves a doubt that names it',
  async (t) => {
    const processor = await startTls(t, { ...server, ca, requestCert: true, minVersion: 'TLSv1.3' })
    const outcome = await send(startDeliverer(t, processor.url, { tls: clientPem(stranger) }))
    t.match(outcome, {
      kind: 'unknown',
      reason: /^connection (?:closed|reset) before the answer; does the processor refuse our certificate\?$/,
    })
    t.equal(processor.requests.length, 0)
  },
)

t.test('no client certificate can be asked for behind a request: Node does not offer that', async (t) => {
  const postHandshakeAuth = 49
  let hello = Buffer.alloc(0)
  const processor = await startProcessor(t, () => undefined, {
    onConnection: (socket) =>
      socket.on('data', (chunk: Buffer) => {
        hello = Buffer.concat([hello, chunk])
        socket.destroy()
      }),
  })
  await send(startDeliverer(t, new URL(`https://localhost:${processor.url.port}/`), { tls: trusting }))
  const offered = extensionsOf(hello)
  t.ok(offered.includes(43), 'supported_versions: it is TLS 1.3')
  t.notOk(offered.includes(postHandshakeAuth))
})

/** The extensions of a ClientHello (RFC 8446 §4.1.2) that came in one record. */
function extensionsOf(record: Buffer): number[] {
  // A record's head, a handshake's head, the version and the random number.
  let at = 5 + 4 + 2 + 32
  at += 1 + record.readUInt8(at)
  at += 2 + record.readUInt16BE(at)
  at += 1 + record.readUInt8(at)
  const end = at + 2 + record.readUInt16BE(at)
  const types: number[] = []
  for (at += 2; at < end; at += 4 + record.readUInt16BE(at + 2)) types.push(record.readUInt16BE(at))
  return types
}

t.test('texts that are no certificate or key are refused at the start', async (t) => {
  const url = new URL('https://localhost:1/')
  const faulty: [tls: { ca: string | null; cert: string | null; key: string | null }, message: RegExp][] = [
    [{ ca: 'x', cert: null, key: null }, /^the certificate authority cannot be used/],
    [{ ca, cert: 'x', key: client.key }, /^the client certificate and its key cannot be used/],
    [{ ca, cert: client.cert, key: 'x' }, /^the client certificate and its key cannot be used/],
    [{ ca, cert: client.cert, key: stranger.key }, /^the client certificate and its key cannot be used/],
  ]
  for (const [tls, message] of faulty) t.throws(() => startDeliverer(t, url, { tls }), { message })
})
