import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'

export type Pair = { key: string; cert: string }

export type Certificates = {
  ca: string
  /** For localhost and 127.0.0.1. */
  server: Pair
  otherHost: Pair
  expired: Pair
  client: Pair
  /** Signed by itself. */
  stranger: Pair
}

/** Makes an authority and what it signs, with the openssl command, since Node can read certificates but make none. */
export function makeCertificates(t: Pick<Test, 'teardown'>): Certificates {
  const folder = mkdtempSync(join(tmpdir(), 'tqp-certificates-'))
  t.teardown(() => rmSync(folder, { recursive: true, force: true }))
  const openssl = (...args: string[]) => {
    const { error, status, stderr } = spawnSync('openssl', args, { cwd: folder, encoding: 'utf8' })
    if (error) throw new Error('these tests need the openssl command to make certificates', { cause: error })
    if (status !== 0) throw new Error(`openssl ${args.join(' ')}: ${stderr}`)
  }
  const read = (name: string) => readFileSync(join(folder, name), 'utf8')
  const key = (name: string) =>
    openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', `${name}.key`)
  const selfSigned = (name: string): Pair => {
    key(name)
    openssl(
      'req',
      '-x509',
      '-new',
      '-key',
      `${name}.key`,
      '-subj',
      `/CN=${name}`,
      '-days',
      '2',
      '-out',
      `${name}.crt`,
    )
    return { key: read(`${name}.key`), cert: read(`${name}.crt`) }
  }
  const signed = (name: string, names: string, days = '2'): Pair => {
    key(name)
    writeFileSync(join(folder, `${name}.ext`), `subjectAltName=${names}\n`)
    openssl('req', '-new', '-key', `${name}.key`, '-subj', `/CN=${name}`, '-out', `${name}.csr`)
    const issuer = ['-CA', 'authority.crt', '-CAkey', 'authority.key', '-CAcreateserial']
    openssl(
      'x509',
      '-req',
      '-in',
      `${name}.csr`,
      ...issuer,
      '-days',
      days,
      '-extfile',
      `${name}.ext`,
      '-out',
      `${name}.crt`,
    )
    return { key: read(`${name}.key`), cert: read(`${name}.crt`) }
  }
  return {
    ca: selfSigned('authority').cert,
    server: signed('server', 'DNS:localhost,IP:127.0.0.1'),
    otherHost: signed('other', 'DNS:elsewhere.example'),
    expired: signed('expired', 'DNS:localhost', '-1'),
    client: signed('client', 'DNS:client'),
    stranger: selfSigned('stranger'),
  }
}
