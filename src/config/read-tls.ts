import type { Settings } from './settings.ts'

/** The texts of the PEM files; null where none is named. */
export type Tls = {
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
}

/** Answers the text of the file at the path; throws where it cannot. */
export type ReadFile = (path: string) => string

/** An authority of one's own and a client's certificate, as `KAFKA_CA`, `KAFKA_CERT` and `KAFKA_KEY` name their files. */
export function readTls(settings: Settings, side: 'KAFKA' | 'DOWNSTREAM', readFile: ReadFile): Tls {
  const [ca, cert, key] = [`${side}_CA`, `${side}_CERT`, `${side}_KEY`] as const
  if ((settings.given(cert) === null) !== (settings.given(key) === null)) {
    settings.fault(`${cert} and ${key} belong together: set both or neither.`)
  }
  return {
    ca: readPem(settings, ca, readFile),
    cert: readPem(settings, cert, readFile),
    key: readPem(settings, key, readFile),
  }
}

/** Says which of them are set although nothing of it would be used. */
export function faultUnusedTls(settings: Settings, side: 'KAFKA' | 'DOWNSTREAM', why: string): void {
  const names = ([`${side}_CA`, `${side}_CERT`, `${side}_KEY`] as const).filter((name) =>
    settings.given(name),
  )
  if (names.length > 0) settings.fault(`${names.join(' and ')} would be ignored: ${why}`)
}

export function readPem(
  settings: Settings,
  name: Parameters<Settings['given']>[0],
  readFile: ReadFile,
): string | null {
  const path = settings.given(name)
  if (path === null) return null
  try {
    const pem = readFile(path)
    if (!pem.includes('-----BEGIN ')) settings.fault(`${name} names a file that is not PEM.`)
    return pem
  } catch {
    settings.fault(`${name} names a file that cannot be read.`)
    return null
  }
}
