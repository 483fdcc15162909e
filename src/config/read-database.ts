import type { Tls } from '../runtime/tls.ts'
import { readPems, type ReadFile } from './read-tls.ts'
import type { Settings } from './settings.ts'

export type DatabaseConfig = {
  /** Null where no database is named and the embedded one is started. */
  readonly url: string | null
  /** Where LISTEN needs a session of its own because `url` is a pooler; null where `url` will do. */
  readonly listenUrl: string | null
  /** The owner's, for migrations; null where one role does both. */
  readonly migrateUrl: string | null
  /** False for no TLS. With it the certificate must be vouched for, by `ca` where one is named, and name the host. */
  readonly ssl: Tls | false
}

const protocols = ['postgresql:', 'postgres:']
const parts = ['POSTGRES_USER', 'POSTGRES_PASSWORD', 'POSTGRES_DB', 'POSTGRES_HOST', 'POSTGRES_PORT'] as const
// pg lets what the URL says win over what the service says.
const overrides =
  /^(ssl.*|uselibpqcompat|statement_timeout|query_timeout|lock_timeout|idle_in_transaction_session_timeout)$/

export function readDatabase(settings: Settings, readFile: ReadFile): DatabaseConfig {
  const url = readDatabaseUrl(settings)
  const listenUrl = readOtherUrl(settings, 'LISTEN_DATABASE_URL', url)
  const migrateUrl = readOtherUrl(settings, 'MIGRATE_DATABASE_URL', url)
  const listens = listenUrl === null ? 'DATABASE_URL' : 'LISTEN_DATABASE_URL'
  if (isPooler(listenUrl ?? url)) {
    settings.fault(
      `${listens} names a connection pooler, which drops LISTEN: name a direct one in LISTEN_DATABASE_URL.`,
    )
  }
  return { url, listenUrl, migrateUrl, ssl: readDatabaseTls(settings, readFile) }
}

/** DATABASE_URL, else one made of the POSTGRES_ settings, else null. */
export function readDatabaseUrl(settings: Settings): string | null {
  if (settings.given('DATABASE_URL') !== null) {
    readUrl(settings, 'DATABASE_URL')
    return settings.given('DATABASE_URL')
  }
  if (parts.every((part) => settings.given(part) === null)) return null
  const host = settings.text('POSTGRES_HOST')
  if (!/^(\/.*|[A-Za-z0-9._:-]+)$/.test(host)) {
    settings.fault('POSTGRES_HOST must be a host name, an address, or the folder of a socket.')
  }
  const [user, password, name] = parts.slice(0, 3).map((part) => encodeURIComponent(settings.text(part)))
  const credentials = password === '' ? user : `${user}:${password}`
  // An IPv6 address stands in brackets; a folder, for a Unix socket, is percent-encoded like any other text.
  const authority = host.includes(':') ? `[${host}]` : encodeURIComponent(host)
  return `postgresql://${credentials}@${authority}:${settings.integer('POSTGRES_PORT', 1, 65_535)}/${name}`
}

/** How each of the URLs is spoken to. */
export function readDatabaseTls(settings: Settings, readFile: ReadFile): Tls | false {
  const tls = readPems(settings, { ca: 'DATABASE_CA' }, readFile)
  if (settings.flag('DATABASE_SSL')) return tls
  if (settings.given('DATABASE_CA') !== null) {
    settings.fault('DATABASE_CA would be ignored: DATABASE_SSL is not true.')
  }
  return false
}

/** LISTEN_DATABASE_URL or MIGRATE_DATABASE_URL; null where DATABASE_URL, which is `url`, will do. */
export function readOtherUrl(
  settings: Settings,
  name: 'LISTEN_DATABASE_URL' | 'MIGRATE_DATABASE_URL',
  url: string | null,
): string | null {
  if (settings.given(name) === null) return null
  readUrl(settings, name)
  if (url === null)
    settings.fault(`${name} is set but DATABASE_URL is not: name the database that it belongs to.`)
  return settings.given(name)
}

function readUrl(settings: Settings, name: 'DATABASE_URL' | 'LISTEN_DATABASE_URL' | 'MIGRATE_DATABASE_URL') {
  if (namesSeveralHosts(settings.text(name))) {
    settings.fault(
      `${name} names several hosts, which libpq would try in turn and this service does not: name one that leads to the primary ` +
        'wherever it is (an address or a DNS name that follows it, or a proxy).',
    )
    return
  }
  const url = settings.url(name, protocols)
  for (const [key, value] of url?.searchParams ?? []) {
    if (!overrides.test(key)) continue
    // It says what DATABASE_SSL says.
    if (key === 'sslmode' && value === 'disable' && settings.given('DATABASE_SSL') !== 'true') continue
    const instead = key.endsWith('_timeout') ? '' : ', and say it with DATABASE_SSL and DATABASE_CA'
    settings.fault(`${name} has ${key}, which would win over what the service sets: take it out${instead}.`)
  }
}

/** In its authority, where a password may hold a comma too, or in its parameter `host`. With ports it is no URL to anybody else. */
function namesSeveralHosts(url: string): boolean {
  const [, authority = '', rest = ''] = /^\w+:\/\/([^/?#]*)(.*)$/s.exec(url) ?? []
  const hosts = authority.slice(authority.lastIndexOf('@') + 1)
  const given = new URLSearchParams(rest.split('?')[1]).get('host') ?? ''
  return hosts.includes(',') || given.includes(',')
}

/** Only what says so itself: the mark that clients of PgBouncer carry, and the host names that hosted poolers use. */
function isPooler(url: string | null): boolean {
  if (url === null || !URL.canParse(url)) return false
  const { hostname, searchParams } = new URL(url)
  return searchParams.get('pgbouncer') === 'true' || /-pooler\.|\.pooler\./.test(hostname)
}
