// Which PostgreSQL the tests start, by TEST_POSTGRES. One that runs already is named by TEST_DATABASE_URL instead.

const majors = [15, 16, 17, 18] as const
const embeddedMajor = 18

export type Major = (typeof majors)[number]

export type PostgresKind =
  /** The embedded one, or another major that npm has of it. */
  | { from: 'npm'; major: Major }
  /** The one that Debian's package installs, with Debian's defaults. */
  | { from: 'debian'; major: 15 }

export const postgresKind = readKind(process.env.TEST_POSTGRES)

function readKind(text: string | undefined): PostgresKind {
  if (text === undefined || text === '') return { from: 'npm', major: embeddedMajor }
  if (text === 'debian') return { from: 'debian', major: 15 }
  const major = majors.find((each) => String(each) === text)
  if (major !== undefined) return { from: 'npm', major }
  throw new Error(`TEST_POSTGRES is ${text}: it must be one of ${majors.join(', ')} and debian`)
}
