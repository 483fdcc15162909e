import { reasonOf } from '../runtime/reason-of.ts'
import { Tls, type Pems } from '../runtime/tls.ts'
import type { Settings } from './settings.ts'

/** Returns the text of the file at the path; throws if it cannot. */
export type ReadFile = (path: string) => string

type Side = 'KAFKA' | 'DOWNSTREAM'
type PemSetting = `${Side}_CA` | `${Side}_CERT` | `${Side}_KEY` | 'DATABASE_CA'

const nothing: Pems = { ca: null, cert: null, key: null }

/**
 * A private certificate authority and a client certificate, from the files that `KAFKA_CA`, `KAFKA_CERT` and
 * `KAFKA_KEY` name.
 */
export function readTls(settings: Settings, side: Side, readFile: ReadFile): Tls {
  const [ca, cert, key] = [`${side}_CA`, `${side}_CERT`, `${side}_KEY`] as const
  if ((settings.given(cert) === null) !== (settings.given(key) === null)) {
    settings.fault(`${cert} and ${key} belong together: set both or neither.`)
  }
  return readPems(settings, { ca, cert, key }, readFile)
}

/** Reports the TLS settings that are set although they would not be used. */
export function faultUnusedTls(settings: Settings, side: Side, why: string): void {
  const names = ([`${side}_CA`, `${side}_CERT`, `${side}_KEY`] as const).filter((name) =>
    settings.given(name),
  )
  if (names.length > 0) settings.fault(`${names.join(' and ')} would be ignored: ${why}`)
}

/**
 * Reads the PEM files that the settings name, now and again whenever a connection is made. Reports each file
 * that cannot be used.
 */
export function readPems(
  settings: Settings,
  names: { readonly ca: PemSetting; readonly cert?: PemSetting; readonly key?: PemSetting },
  readFile: ReadFile,
): Tls {
  const files = Object.entries(names).flatMap(([kind, name]) => {
    const path = settings.given(name)
    return path === null ? [] : [{ kind, name, read: () => readPem(name, path, readFile) }]
  })
  const found = files.flatMap(({ read }) => faultOf(read))
  for (const fault of found) settings.fault(fault)
  if (found.length > 0) return new Tls(() => nothing)
  try {
    return new Tls(() => ({
      ...nothing,
      ...Object.fromEntries(files.map(({ kind, read }) => [kind, read()])),
    }))
  } catch (error) {
    settings.fault(`${files.map(({ name }) => name).join(' and ')}: ${reasonOf(error)}.`)
    return new Tls(() => nothing)
  }
}

/** @throws Error with a sentence that names the setting */
function readPem(name: PemSetting, path: string, readFile: ReadFile): string {
  const pem = textOf(path, readFile)
  if (pem === null) throw new Error(`${name} names a file that cannot be read.`)
  if (!pem.includes('-----BEGIN ')) throw new Error(`${name} names a file that is not PEM.`)
  return pem
}

function textOf(path: string, readFile: ReadFile): string | null {
  try {
    return readFile(path)
  } catch {
    return null
  }
}

function faultOf(read: () => unknown): string[] {
  try {
    read()
    return []
  } catch (error) {
    return [reasonOf(error)]
  }
}
