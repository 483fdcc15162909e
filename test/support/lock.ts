import { randomUUID } from 'node:crypto'
import { link, readFile, rm, writeFile } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { isAlive, isErrno } from '../../src/embedded/postgres/process.ts'

/** Test files run as processes of their own; the first one acts while the others wait here. */
export async function withLock<T>(lockFile: string, act: () => Promise<T>): Promise<T> {
  while (!(await takeLock(lockFile))) await sleep(20)
  try {
    return await act()
  } finally {
    await rm(lockFile, { force: true })
  }
}

async function takeLock(lockFile: string): Promise<boolean> {
  // Written under a name of its own and linked: a lock without its holder's number would be waited for without end.
  const written = `${lockFile}.${randomUUID()}`
  await writeFile(written, String(process.pid))
  try {
    await link(written, lockFile)
    return true
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  } finally {
    await rm(written, { force: true })
  }
  const holder = await readFile(lockFile, 'utf8').catch(() => null)
  // A holder that was killed holds nothing.
  if (holder !== null && !isAlive(Number(holder))) await rm(lockFile, { force: true })
  return false
}
