import { X509Certificate } from 'node:crypto'
import { rmSync, writeFileSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { Tls } from '../../src/runtime/tls.ts'
import { makeCertificates } from '../support/certificates.ts'

const { ca, client } = makeCertificates(t)
const other = makeCertificates(t)

function setUp(t: Test) {
  const folder = t.testdir({ 'ca.pem': ca, 'cert.pem': client.cert, 'key.pem': client.key })
  const path = (name: string) => join(folder, `${name}.pem`)
  const read = (name: string) => readFileSync(path(name), 'utf8')
  const tls = new Tls(() => ({ ca: read('ca'), cert: read('cert'), key: read('key') }))
  const told: (string | null)[] = []
  tls.onChange = (fault) => told.push(fault)
  return {
    tls,
    told,
    put: (name: 'ca' | 'cert' | 'key', text: string) => writeFileSync(path(name), text),
    remove: (name: 'ca' | 'cert' | 'key') => rmSync(path(name)),
  }
}

t.test('files that stay the same are one context, and nothing is told', async (t) => {
  const { tls, told } = setUp(t)
  t.equal(tls.secureContext(), tls.secureContext())
  t.strictSame(told, [])
})

t.test('what was replaced is used by the next connection, and told once', async (t) => {
  const { tls, told, put } = setUp(t)
  const before = tls.secureContext()
  put('ca', other.ca)
  const after = tls.secureContext()
  t.not(after, before)
  t.equal(tls.secureContext(), after)
  t.strictSame(told, [null])
})

t.test('a certificate whose key is still to come changes nothing, and is told once', async (t) => {
  const { tls, told, put } = setUp(t)
  const before = tls.secureContext()
  put('cert', other.client.cert)
  t.equal(tls.secureContext(), before)
  t.equal(tls.secureContext(), before)
  t.match(told, [/^the client certificate and its key cannot be used: .*mismatch/])
  put('key', other.client.key)
  t.not(tls.secureContext(), before)
  t.match(told, [/mismatch/, null])
})

t.test('a file that is gone, empty or cut short changes nothing, until it is whole again', async (t) => {
  const { tls, told, put, remove } = setUp(t)
  const before = tls.secureContext()
  remove('ca')
  t.equal(tls.secureContext(), before)
  put('ca', '')
  t.equal(tls.secureContext(), before)
  put('ca', other.ca.slice(0, 200))
  t.equal(tls.secureContext(), before)
  t.match(told, [
    /ENOENT/,
    /^the certificate authority cannot be used/,
    /^the certificate authority cannot be used/,
  ])
  put('ca', ca)
  t.equal(tls.secureContext(), before, 'the same as before')
  remove('ca')
  t.equal(tls.secureContext(), before)
  t.match(told.at(-1), /ENOENT/, 'told anew')
})

t.test('it tells when the files end, and looks at them anew each time', async (t) => {
  const { tls, put } = setUp(t)
  const endOf = (pem: string) => new Date(new X509Certificate(pem).validTo)
  t.strictSame(tls.ends(), [
    { file: 'ca', at: endOf(ca) },
    { file: 'cert', at: endOf(client.cert) },
  ])
  // An authority that has ended stands beside the one that follows it.
  put('ca', `${other.expired.cert}${ca}${other.expired.cert}`)
  // The chain of a client begins with its own certificate.
  put('cert', `${client.cert}${other.expired.cert}`)
  t.strictSame(tls.ends(), [
    { file: 'ca', at: endOf(ca) },
    { file: 'cert', at: endOf(client.cert) },
  ])
  t.strictSame(new Tls(() => ({ ca: null, cert: null, key: null })).ends(), [])
})
