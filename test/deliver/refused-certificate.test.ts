import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { connect, createServer, type SecureVersion, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { noteRefusal, refusalBehind } from '../../src/deliver/refused-certificate.ts'
import { makeCertificates } from '../support/certificates.ts'

const { ca, server: pair } = makeCertificates(t)

/** Both ends of a connection after its handshake. */
async function startPair(
  t: Test,
  maxVersion: SecureVersion,
): Promise<{ client: TLSSocket; server: TLSSocket }> {
  const listener = createServer({ ...pair, maxVersion }).listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const client = connect({ ca, host: 'localhost', port: (listener.address() as AddressInfo).port })
  const [[server]] = (await Promise.all([
    once(listener, 'secureConnection'),
    once(client, 'secureConnect'),
  ])) as [[TLSSocket], unknown]
  t.teardown(() => {
    for (const socket of [client, server]) socket.on('error', () => undefined).destroy()
    listener.close()
  })
  return { client, server }
}

/** Ends the connection as an alert from the other side does: Node can receive any alert, and send none at will. */
async function alert(client: TLSSocket, code: string): Promise<Error> {
  const error = Object.assign(new Error('alert'), { code })
  const told = once(client, 'error')
  client.destroy(error)
  await told
  return error
}

const unread = [
  'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
  'ERR_SSL_SSL/TLS_ALERT_CERTIFICATE_UNKNOWN',
  'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
  'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
]
const inDoubt = [
  'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR',
  'ERR_SSL_TLSV1_ALERT_ACCESS_DENIED',
  'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
  'ECONNRESET',
]

t.test(
  'an alert about the certificate before any byte says that nothing was read; no other error does',
  async (t) => {
    for (const code of [...unread, ...inDoubt]) {
      const { client } = await startPair(t, 'TLSv1.3')
      noteRefusal(client)
      const error = await alert(client, code)
      t.equal(refusalBehind(error), unread.includes(code) ? error : null, code)
    }
  },
)

t.test('behind a byte of an answer, and in TLS 1.2, it proves nothing', async (t) => {
  const answered = await startPair(t, 'TLSv1.3')
  noteRefusal(answered.client)
  answered.server.write('H')
  await once(answered.client, 'readable')
  answered.client.read()
  t.equal(refusalBehind(await alert(answered.client, 'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED')), null)

  const older = await startPair(t, 'TLSv1.2')
  noteRefusal(older.client)
  t.equal(refusalBehind(await alert(older.client, 'ERR_SSL_SSLV3_ALERT_CERTIFICATE_EXPIRED')), null)
})
