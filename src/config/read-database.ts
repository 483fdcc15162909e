import type { Tls } from '../runtime/tls.ts'
import { readPems, type ReadFile } from './read-tls.ts'
import type { Settings } from './settings.ts'

export type DatabaseConfig = {
  /** Null if no database is named: the embedded one is started. */
  readonly url: string | null
  /** For LISTEN, if `url` leads to a pooler; null if `url` is used for it. */
  readonly listenUrl: string | null
  /** The owner's, for migrations; null if one role does both. */
  readonly migrateUrl: string | null
  /**
   * False for no TLS. With TLS, the certificate must name the host and be signed by a trusted authority: by
   * `ca` if it is set.
   */
  readonly ssl: Tls | false
}

const protocols = ['postgresql:', 'postgres:']
const parts = ['POSTGRES_USER', 'POSTGRES_PASSWORD', 'POSTGRES_DB', 'POSTGRES_HOST', 'POSTGRES_PORT'] as const
// pg prefers these parameters of the URL over the service's own settings.
const overrides =
  /^(ssl.*|uselibpqcompat|statement_timeout|query_timeout|lock_timeout|idle_in_transaction_session_timeout)$/

export function readDatabase(settings: Settings, readFile: ReadFile): DatabaseConfig {
  const url = readDatabaseUrl(settings)
  const listenUrl = readOtherUrl(settings, 'LISTEN_DATABASE_URL', url)
  const migrateUrl = readOtherUrl(settings, 'MIGRATE_DATABASE_URL', url)
  const listens = listenUrl === null ? 'DATABASE_URL' : 'LISTEN_DATABASE_URL'
  if (isPooler(listenUrl ?? url)) {
    settings.fault(
      `${listens} names a connection pooler, which drops LISTEN: set LISTEN_DATABASE_URL to a direct connection.`,
    )
  }
  return { url, listenUrl, migrateUrl, ssl: readDatabaseTls(settings, readFile) }
}

/** DATABASE_URL, else a URL built from the POSTGRES_ settings, else null. */
export function readDatabaseUrl(settings: Settings): string | null {
  if (settings.given('DATABASE_URL') !== null) {
    return readUrl(settings, 'DATABASE_URL')
  }
  if (parts.every((part) => settings.given(part) === null)) return null
  const host = settings.text('POSTGRES_HOST')
  if (!/^(\/.*|[A-Za-z0-9._:-]+)$/.test(host)) {
    settings.fault('POSTGRES_HOST must be a host name, an address, or the folder of a Unix socket.')
  }
  const [user, password, name] = parts.slice(0, 3).map((part) => encodeURIComponent(settings.text(part)))
  const credentials = password === '' ? user : `${user}:${password}`
  // An IPv6 address is put in brackets. A folder, for a Unix socket, is percent-encoded like any other text.
  const authority = host.includes(':') ? `[${host}]` : encodeURIComponent(host)
  return `postgresql://${credentials}@${authority}:${settings.integer('POSTGRES_PORT', 1, 65_535)}/${name}`
}

/** TLS for all of the URLs. */
export function readDatabaseTls(settings: Settings, readFile: ReadFile): Tls | false {
  const tls = readPems(settings, { ca: 'DATABASE_CA' }, readFile)
  if (settings.flag('DATABASE_SSL')) return tls
  if (settings.given('DATABASE_CA') !== null) {
    settings.fault('DATABASE_CA would be ignored: DATABASE_SSL is not true.')
  }
  return false
}

/** LISTEN_DATABASE_URL or MIGRATE_DATABASE_URL; null if DATABASE_URL, which is `url`, is used instead. */
export function readOtherUrl(
  settings: Settings,
  name: 'LISTEN_DATABASE_URL' | 'MIGRATE_DATABASE_URL',
  url: string | null,
): string | null {
  if (settings.given(name) === null) return null
  const other = readUrl(settings, name)
  if (url === null)
    settings.fault(`${name} is set but DATABASE_URL is not: set DATABASE_URL to the same database.`)
  return other
}

/**
 * The owner's connection. Else, if LISTEN_DATABASE_URL is a direct connection of the same role beside a
 * pooler, that one.
 *
 * @param url where DATABASE_URL, or the embedded database, is
 */
export function chooseOwnerUrl(
  { migrateUrl, listenUrl }: Pick<DatabaseConfig, 'migrateUrl' | 'listenUrl'>,
  url: string,
): string {
  if (migrateUrl !== null) return migrateUrl
  const isSameRole = listenUrl !== null && new URL(listenUrl).username === new URL(url).username
  return isSameRole ? listenUrl : url
}

/** Without white space at its ends, which pg would take for a part of the host or of the database's name. */
function readUrl(
  settings: Settings,
  name: 'DATABASE_URL' | 'LISTEN_DATABASE_URL' | 'MIGRATE_DATABASE_URL',
): string {
  const text = settings.text(name).trim()
  if (namesSeveralHosts(text)) {
    settings.fault(
      `${name} names several hosts. libpq would try them in turn, but this service does not: name one host that leads to the primary ` +
        'wherever it is (an address or a DNS name that follows it, or a proxy).',
    )
    return text
  }
  const url = settings.url(name, protocols)
  for (const [key, value] of url?.searchParams ?? []) {
    if (!overrides.test(key)) continue
    // Allowed, because it agrees with DATABASE_SSL.
    if (key === 'sslmode' && value === 'disable' && settings.given('DATABASE_SSL') !== 'true') continue
    const instead = key.endsWith('_timeout') ? '' : ' and use DATABASE_SSL and DATABASE_CA instead'
    settings.fault(
      `${name} has ${key}, which would override the service's own settings: remove it${instead}.`,
    )
  }
  return text
}

/**
 * Several hosts, either in the authority (where a password may hold a comma too) or in the parameter `host`.
 * If they have ports, no other URL parser accepts the URL.
 */
function namesSeveralHosts(url: string): boolean {
  const [, authority = '', rest = ''] = /^\w+:\/\/([^/?#]*)(.*)$/s.exec(url) ?? []
  const hosts = authority.slice(authority.lastIndexOf('@') + 1)
  const given = new URLSearchParams(rest.split('?')[1]).get('host') ?? ''
  return hosts.includes(',') || given.includes(',')
}

/**
 * Only recognises URLs that say so themselves: the parameter that clients of PgBouncer use, and the host
 * names of hosted poolers.
 */
function isPooler(url: string | null): boolean {
  if (url === null || !URL.canParse(url)) return false
  const { hostname, searchParams } = new URL(url)
  return searchParams.get('pgbouncer') === 'true' || /-pooler\.|\.pooler\./.test(hostname)
}
