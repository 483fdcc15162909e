import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Binaries } from './find-binaries.ts'

const run = promisify(execFile)

/**
 * The user that runs PostgreSQL's programs, so that they do not run as root, and the owner of their files.
 */
export interface User {
  owner: { uid: number; gid: number }
  /** The owners whose data folder may be taken over. For root these are root and nobody. */
  mayTakeOverFrom: number[]
  /** The command line that runs `program` as this user. */
  command(program: string, args: string[]): [string, string[]]
  /** Options for spawn, beside the command. */
  spawnAs: { uid?: number; gid?: number }
}

/**
 * The only environment that PostgreSQL's programs get: the caller's PGPORT and similar variables must not
 * change what they do.
 */
export const programEnvironment = {
  LC_ALL: 'C',
  TZ: 'UTC',
  PATH: '/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin',
}

/**
 * PostgreSQL refuses to run as root. So root runs it as `nobody`. If nobody cannot reach the binaries or the
 * data (as in a checkout below /root), it runs in a user namespace without a mapping: there root's own files
 * can be reached under a uid that is not 0.
 *
 * @throws an Error with one sentence, if neither works
 */
export async function chooseUser({ postgres }: Binaries, dataDir: string): Promise<User> {
  const uid = process.getuid?.() ?? 0
  const gid = process.getgid?.() ?? 0
  const owner = { uid, gid }
  if (uid !== 0)
    return { owner, mayTakeOverFrom: [uid], command: (program, args) => [program, args], spawnAs: {} }
  const nobody = await findNobody()
  const mayTakeOverFrom = [uid, ...(nobody ? [nobody.uid] : [])]
  if (nobody && (await canReach(nobody, postgres, dataDir)))
    return { owner: nobody, mayTakeOverFrom, command: (program, args) => [program, args], spawnAs: nobody }
  const unshared = (program: string, args: string[]): [string, string[]] => [
    'unshare',
    ['--user', '--', program, ...args],
  ]
  if (await succeeds(...unshared(postgres, ['--version'])))
    return { owner, mayTakeOverFrom, command: unshared, spawnAs: {} }
  throw new Error(
    `PostgreSQL does not run as root, the user nobody cannot reach ${postgres} or ${dataDir}, and unshare --user is not ` +
      'permitted here: start as an ordinary user, or set DATABASE_URL',
  )
}

async function findNobody(): Promise<{ uid: number; gid: number } | undefined> {
  try {
    const [uid, gid] = await Promise.all(
      ['-u', '-g'].map(async (flag) => Number((await run('id', [flag, 'nobody'])).stdout)),
    )
    return uid !== undefined && gid !== undefined ? { uid, gid } : undefined
  } catch {
    return undefined
  }
}

async function canReach(
  user: { uid: number; gid: number },
  postgres: string,
  dataDir: string,
): Promise<boolean> {
  return (await succeeds(postgres, ['--version'], user)) && (await succeeds('test', ['-x', dataDir], user))
}

async function succeeds(
  program: string,
  args: string[],
  user: { uid?: number; gid?: number } = {},
): Promise<boolean> {
  try {
    await run(program, args, { ...user, env: programEnvironment, cwd: '/' })
    return true
  } catch {
    return false
  }
}
