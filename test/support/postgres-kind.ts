// Which PostgreSQL the tests start, by TEST_POSTGRES. One that runs already is named by TEST_DATABASE_URL instead.

const majors = [15, 16, 17, 18] as const
const embeddedMajor = 18

export type Major = (typeof majors)[number]

export type PostgresKind =
  /** The embedded one, or another major that npm has of it. */
  | { from: 'npm'; major: Major }
  /** The one that Debian's package installs, with Debian's defaults. */
  | { from: 'debian'; major: 15 }
  /** The official image, in a container. */
  | { from: 'container'; major: Major }

export const postgresKind = readKind(process.env.TEST_POSTGRES)

function readKind(text: string | undefined): PostgresKind {
  if (text === undefined || text === '') return { from: 'npm', major: embeddedMajor }
  if (text === 'debian') return { from: 'debian', major: 15 }
  const [, inContainer, number] = /^(container:)?(\d+)$/.exec(text) ?? []
  const major = majors.find((each) => String(each) === number)
  if (major !== undefined) return { from: inContainer ? 'container' : 'npm', major }
  throw new Error(
    `TEST_POSTGRES is ${text}: it must be debian, or one of ${majors.join(', ')}, with container: before it or without`,
  )
}
