import { open, readFile, rm } from 'node:fs/promises'
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
  try {
    const file = await open(lockFile, 'wx')
    await file.write(String(process.pid))
    await file.close()
    return true
  } catch (error) {
    if (!isErrno(error, 'EEXIST')) throw error
  }
  const holder = Number(await readFile(lockFile, 'utf8').catch(() => ''))
  // A holder that was killed holds nothing; an empty file is a lock that is being written.
  if (holder > 0 && !isAlive(holder)) await rm(lockFile, { force: true })
  return false
}
