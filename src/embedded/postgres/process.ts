import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * Whether a process is alive that is not, or no longer, a child of this one. Embedded parts may outlive a
 * killed service and are then children of process 1. If that does not reap them (as in many containers), an
 * ended process stays a zombie that still accepts signals; so a zombie counts as ended here. It does not
 * count as ended while it still has threads: they hold its sockets, and its port would seem to belong to
 * another program.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (!isErrno(error, 'EPERM')) return false
  }
  if (!existsSync('/proc/self/stat')) return true
  const stat = statOf(pid)
  // Field 20 is the number of threads, including the zombie itself.
  return stat !== undefined && (!['Z', 'X'].includes(stat[0] ?? '') || Number(stat[17]) > 1)
}

/**
 * When the process started, in the system's own format. Together with the pid this identifies a process for
 * good.
 */
export function startOf(pid: number): string | undefined {
  // Field 22 of /proc/PID/stat, in clock ticks since boot. The first field after the program's name is field
  // 3.
  if (existsSync('/proc/self/stat')) return statOf(pid)?.[19]
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

/** Waits until the process has ended, for at most `ms` milliseconds. Returns whether it has. */
export async function waitForEnd(pid: number, ms: number): Promise<boolean> {
  const end = Date.now() + ms
  while (isAlive(pid)) {
    if (Date.now() > end) return false
    await sleep(20)
  }
  return true
}

/** Sends a signal to a process, which may have ended meanwhile. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}

/**
 * The last important line that a part wrote to its log after the first `from` bytes, for the sentence that
 * says why it did not start.
 */
export async function lastLine(logPath: string, from: number): Promise<string> {
  const file = await open(logPath, 'r')
  try {
    const buffer = Buffer.alloc(16_384)
    const { size } = await file.stat()
    const { bytesRead } = await file.read(buffer, 0, buffer.length, Math.max(from, size - buffer.length))
    const lines = buffer
      .toString('utf8', 0, bytesRead)
      .split('\n')
      .filter((line) => line.trim() !== '')
    return lines.findLast(isFault) ?? lines.at(-1) ?? 'it wrote nothing'
  } finally {
    await file.close()
  }
}

/**
 * While a server starts, it answers this service's own queries with FATAL too; those lines explain nothing.
 */
function isFault(line: string): boolean {
  return /\b(fatal|panic|error)\b/i.test(line) && !line.includes('the database system is')
}

export function isErrno(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}

/** The fields of /proc/PID/stat after the program's name, which is in parentheses and may hold spaces and parentheses. */
function statOf(pid: number): string[] | undefined {
  try {
    const line = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return line.slice(line.lastIndexOf(')') + 2).split(' ')
  } catch {
    return undefined
  }
}
