import { execFile } from 'node:child_process'
import { chown, lchown, mkdir, open, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { programEnvironment, type User } from './choose-user.ts'
import type { Binaries } from './find-binaries.ts'
import { isErrno } from './process.ts'

const run = promisify(execFile)

/**
 * Prepares the cluster's folder for a start: creates it, or checks its major version against the binaries'
 * and gives it to the user that will run it. Nothing may be running in it.
 *
 * @throws an Error with one sentence, if the folder cannot be used
 */
export async function prepareCluster(
  cluster: string,
  binaries: Binaries,
  user: User,
  account: { user: string; password: string },
): Promise<void> {
  if (await isEmpty(cluster)) {
    await createCluster(cluster, binaries, user, account)
    return
  }
  await refuseOtherVersion(cluster, binaries)
  await takeOver(cluster, user)
}

/** @throws an Error with one sentence, if the folder exists and belongs to another user */
export async function refuseOtherOwner(cluster: string, user: User): Promise<void> {
  try {
    const { uid } = await stat(cluster)
    if (!user.mayTakeOverFrom.includes(uid))
      throw new Error(
        `${cluster} belongs to user id ${uid}: start as that user, or set DATA_DIR to a folder of your own`,
      )
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
  }
}

async function isEmpty(cluster: string): Promise<boolean> {
  try {
    return (await readdir(cluster)).length === 0
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return true
    throw error
  }
}

/**
 * Builds the cluster under another name and renames it when it is complete, so that a kill during initdb
 * leaves no half cluster.
 */
async function createCluster(
  cluster: string,
  binaries: Binaries,
  user: User,
  account: { user: string; password: string },
): Promise<void> {
  const building = `${cluster}.new`
  const passwordFile = `${cluster}.password`
  await rm(building, { recursive: true, force: true })
  await mkdir(building, { mode: 0o700 })
  await chown(building, user.owner.uid, user.owner.gid)
  await rm(passwordFile, { force: true })
  await writeFile(passwordFile, `${account.password}\n`, { mode: 0o600 })
  await chown(passwordFile, user.owner.uid, user.owner.gid)
  const args = [
    '--pgdata',
    building,
    '--username',
    account.user,
    '--pwfile',
    passwordFile,
    '--auth',
    'scram-sha-256',
  ]
  try {
    const [program, all] = user.command(binaries.initdb, [
      ...args,
      '--encoding',
      'UTF8',
      ...localeOf(await readMajor(binaries)),
      '--no-instructions',
    ])
    await run(program, all, { ...user.spawnAs, env: programEnvironment, cwd: '/' })
    await rename(building, cluster)
    await syncFolder(dirname(cluster))
  } catch (cause) {
    const words =
      cause instanceof Error && 'stderr' in cause
        ? String(cause.stderr).trim().split('\n').at(-1)
        : String(cause)
    throw new Error(`PostgreSQL's initdb could not create ${cluster}: ${words ?? 'it wrote nothing'}`, {
      cause,
    })
  } finally {
    await rm(passwordFile, { force: true })
    await rm(building, { recursive: true, force: true })
  }
}

/**
 * The built-in C.UTF-8 locale sorts by code point on every machine. The order of a system locale could change
 * with an upgrade of the C library and silently break indexes. Before PostgreSQL 17 plain C is used, which
 * sorts the same way.
 */
function localeOf(major: string): string[] {
  const plain = ['--locale', 'C']
  return Number(major) < 17
    ? plain
    : [...plain, '--locale-provider', 'builtin', '--builtin-locale', 'C.UTF-8']
}

async function refuseOtherVersion(cluster: string, binaries: Binaries): Promise<void> {
  const made = await readVersion(cluster)
  const ours = await readMajor(binaries)
  if (made !== ours)
    throw new Error(
      `${cluster} was made by PostgreSQL ${made} and the embedded one is ${ours}: dump it with PostgreSQL ` +
        `${made} and restore it, or move the folder away to start with an empty log`,
    )
}

async function readMajor({ postgres }: Binaries): Promise<string> {
  const { stdout } = await run(postgres, ['--version'], { env: programEnvironment })
  // Distributions may add their own version: "postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)".
  return /\(PostgreSQL\) (\d+)/.exec(stdout)?.[1] ?? stdout.trim()
}

async function readVersion(cluster: string): Promise<string> {
  try {
    return (await readFile(join(cluster, 'PG_VERSION'), 'utf8')).trim()
  } catch (error) {
    if (!isErrno(error, 'ENOENT')) throw error
    throw new Error(`${cluster} holds files that are not PostgreSQL data: move it away, or set DATA_DIR`, {
      cause: error,
    })
  }
}

/** The folder itself comes last, so that after a kill the next start repeats this. */
async function takeOver(cluster: string, { owner }: User): Promise<void> {
  if ((await stat(cluster)).uid === owner.uid) return
  for (const entry of await readdir(cluster, { recursive: true }))
    await lchown(join(cluster, entry), owner.uid, owner.gid)
  await chown(cluster, owner.uid, owner.gid)
}

async function syncFolder(folder: string): Promise<void> {
  const handle = await open(folder, 'r')
  await handle.sync()
  await handle.close()
}
