import { readHeaders } from './read-headers.ts'
import { readRetryStatuses } from './read-retry-statuses.ts'
import type { Settings } from './settings.ts'

export type DownstreamConfig = {
  /** Null where no processor is named and the mock one is started. */
  readonly url: string | null
  readonly timeoutMs: number
  readonly headers: Readonly<Record<string, string>>
  /** The texts of the PEM files; null where none is named. */
  readonly ca: string | null
  readonly cert: string | null
  readonly key: string | null
  readonly retryStatuses: (statusCode: number) => boolean
}

/** Answers the text of the file at the path; throws where it cannot. */
export type ReadFile = (path: string) => string

/** Timers of Node end here: a longer one fires at once. */
export const timerMsMax = 2 ** 31 - 1

export function readDownstream(settings: Settings, readFile: ReadFile): DownstreamConfig {
  const url = readUrl(settings)
  const ca = readPem(settings, 'DOWNSTREAM_CA', readFile)
  const cert = readPem(settings, 'DOWNSTREAM_CERT', readFile)
  const key = readPem(settings, 'DOWNSTREAM_KEY', readFile)
  if ((settings.given('DOWNSTREAM_CERT') === null) !== (settings.given('DOWNSTREAM_KEY') === null)) {
    settings.fault('DOWNSTREAM_CERT and DOWNSTREAM_KEY belong together: set both or neither.')
  }
  const secured = (['DOWNSTREAM_CA', 'DOWNSTREAM_CERT', 'DOWNSTREAM_KEY'] as const).filter((name) =>
    settings.given(name),
  )
  if (secured.length > 0 && url?.startsWith('https:') !== true) {
    settings.fault(`${secured.join(' and ')} would be ignored: DOWNSTREAM_URL does not start with https://.`)
  }
  const timeoutMs = settings.milliseconds('DOWNSTREAM_TIMEOUT', 1, timerMsMax)
  return {
    url,
    timeoutMs,
    headers: readHeaders(settings),
    ca,
    cert,
    key,
    retryStatuses: readRetryStatuses(settings),
  }
}

function readUrl(settings: Settings): string | null {
  if (settings.given('DOWNSTREAM_URL') === null) return null
  const url = settings.url('DOWNSTREAM_URL', ['http:', 'https:'])
  if (url !== null && (url.username !== '' || url.password !== '')) {
    settings.fault(
      'DOWNSTREAM_URL must not hold a user or a password: give an Authorization in DOWNSTREAM_HEADERS.',
    )
  }
  return settings.given('DOWNSTREAM_URL')
}

function readPem(
  settings: Settings,
  name: 'DOWNSTREAM_CA' | 'DOWNSTREAM_CERT' | 'DOWNSTREAM_KEY',
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
