import type { Settings } from './settings.ts'

export type DatabaseConfig = {
  /** Null where no database is named and the embedded one is started. */
  readonly url: string | null
  /** Where LISTEN needs a session of its own because `url` is a pooler; null where `url` will do. */
  readonly listenUrl: string | null
  /** The owner's, for migrations; null where one role does both. */
  readonly migrateUrl: string | null
  readonly ssl: boolean
}

const protocols = ['postgresql:', 'postgres:']
const parts = ['POSTGRES_USER', 'POSTGRES_PASSWORD', 'POSTGRES_DB', 'POSTGRES_HOST', 'POSTGRES_PORT'] as const

export function readDatabase(settings: Settings): DatabaseConfig {
  const url = readDatabaseUrl(settings)
  const listenUrl = readOtherUrl(settings, 'LISTEN_DATABASE_URL', url)
  const migrateUrl = readOtherUrl(settings, 'MIGRATE_DATABASE_URL', url)
  const listens = listenUrl === null ? 'DATABASE_URL' : 'LISTEN_DATABASE_URL'
  if (isPooler(listenUrl ?? url)) {
    settings.fault(
      `${listens} names a connection pooler, which drops LISTEN: name a direct one in LISTEN_DATABASE_URL.`,
    )
  }
  return { url, listenUrl, migrateUrl, ssl: settings.flag('DATABASE_SSL') }
}

/** DATABASE_URL, else one made of the POSTGRES_ settings, else null. */
export function readDatabaseUrl(settings: Settings): string | null {
  if (settings.given('DATABASE_URL') !== null) {
    settings.url('DATABASE_URL', protocols)
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

function readOtherUrl(
  settings: Settings,
  name: 'LISTEN_DATABASE_URL' | 'MIGRATE_DATABASE_URL',
  url: string | null,
): string | null {
  if (settings.given(name) === null) return null
  settings.url(name, protocols)
  if (url === null)
    settings.fault(`${name} is set but DATABASE_URL is not: name the database that it belongs to.`)
  return settings.given(name)
}

/** Only what says so itself: the mark that clients of PgBouncer carry, and the host names that hosted poolers use. */
function isPooler(url: string | null): boolean {
  if (url === null || !URL.canParse(url)) return false
  const { hostname, searchParams } = new URL(url)
  return searchParams.get('pgbouncer') === 'true' || /-pooler\.|\.pooler\./.test(hostname)
}
