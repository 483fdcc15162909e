import { readdir, readFile, readlink, realpath, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, isNotReady, type Access } from './ask.ts'
import { isAlive, isErrno } from './process.ts'

/**
 * Finds a server that already runs in the cluster, as after the service was killed, and waits until it
 * answers.
 *
 * @returns its pid, or undefined if none runs; a stale lock file is removed then
 * @throws an Error with one sentence, if the running server cannot be used: it has another port or another
 *   password
 */
export async function findLive(cluster: string, access: Access): Promise<number | undefined> {
  const lock = await readLock(cluster)
  if (!lock) return undefined
  if (!(await runsIn(lock.pid, cluster))) {
    await removeStaleLock(cluster)
    return undefined
  }
  if (lock.port !== access.port)
    throw new Error(
      `PostgreSQL (process ${lock.pid}) already runs in ${cluster} on port ${lock.port} instead of ${access.port}: stop it with ` +
        `kill -INT ${lock.pid}`,
    )
  while (isAlive(lock.pid)) {
    // It may be recovering or shutting down: the first ends with an answer, the second with the end of the
    // process.
    if (await answers(cluster, access)) return lock.pid
    await sleep(50)
  }
  return findLive(cluster, access)
}

/**
 * The lines of postmaster.pid: pid, data folder, start time, port, … A lock that is still being written has
 * no port.
 */
async function readLock(cluster: string): Promise<{ pid: number; port: number } | undefined> {
  try {
    const lines = (await readFile(join(cluster, 'postmaster.pid'), 'utf8')).split('\n')
    return { pid: Math.abs(Number(lines[0])), port: Number(lines[3]) }
  } catch (error) {
    if (isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}

async function answers(cluster: string, access: Access): Promise<boolean> {
  try {
    const [row] = await ask<{ folder: string }>(
      access,
      'postgres',
      "select current_setting('data_directory') as folder",
    )
    if (row && (await realpath(row.folder)) === (await realpath(cluster))) return true
  } catch (error) {
    if (isNotReady(error)) return false
    throw error
  }
  throw new Error(
    `Another PostgreSQL than the one in ${cluster} answers on port ${access.port}: stop it, or set DATABASE_URL`,
  )
}

/**
 * Every process of a server has the data folder as its working directory. Without /proc it must suffice that
 * the pid is alive.
 */
async function runsIn(pid: number, cluster: string): Promise<boolean> {
  if (!isAlive(pid)) return false
  if (process.platform !== 'linux') return true
  return (await workingFolder(pid)) === (await realpath(cluster))
}

/**
 * PostgreSQL removes a stale lock itself, unless another process has the lock's pid by now, as is usual in a
 * restarted container. Removing the lock here bypasses PostgreSQL's check for backends that outlived their
 * postmaster. So this function waits for them: they end on their own as soon as they notice.
 */
async function removeStaleLock(cluster: string): Promise<void> {
  if (process.platform !== 'linux') return
  const folder = await realpath(cluster)
  const end = Date.now() + 30_000
  for (
    let survivor = await findProcessIn(folder);
    survivor !== undefined;
    survivor = await findProcessIn(folder)
  ) {
    if (Date.now() > end)
      throw new Error(
        `Process ${survivor} still uses ${cluster}, whose PostgreSQL has ended: end that process first`,
      )
    await sleep(50)
  }
  await rm(join(cluster, 'postmaster.pid'), { force: true })
}

async function findProcessIn(folder: string): Promise<number | undefined> {
  for (const entry of await readdir('/proc')) {
    const pid = Number(entry)
    if (Number.isInteger(pid) && isAlive(pid) && (await workingFolder(pid)) === folder) return pid
  }
  return undefined
}

async function workingFolder(pid: number): Promise<string | undefined> {
  try {
    return await readlink(`/proc/${pid}/cwd`)
  } catch {
    // It has ended, or belongs to another user and so cannot be the owner's server.
    return undefined
  }
}
