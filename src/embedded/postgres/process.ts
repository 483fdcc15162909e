import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'

/**
 * What must be known of a process that is not, or no longer, our child. Embedded parts may outlive a service that was
 * killed and are then children of process 1; where that does not reap (many containers), an ended process stays a zombie that
 * still takes signals, so a zombie counts as ended here. But not while threads of it are left: they hold its sockets, and
 * its port would seem to be another program's.
 */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch (error) {
    if (!isErrno(error, 'EPERM')) return false
  }
  if (!existsSync('/proc/self/stat')) return true
  const stat = statOf(pid)
  // Field 20, the number of threads, the zombie itself among them.
  return stat !== undefined && (!['Z', 'X'].includes(stat[0] ?? '') || Number(stat[17]) > 1)
}

/** When the process started, in whatever form the system tells it: with the pid, this names a process for good. */
export function startOf(pid: number): string | undefined {
  // Field 22 of /proc/PID/stat, in clock ticks since boot; the first field after the program's name is the third.
  if (existsSync('/proc/self/stat')) return statOf(pid)?.[19]
  try {
    return execFileSync('ps', ['-o', 'lstart=', '-p', String(pid)], { encoding: 'utf8' }).trim()
  } catch {
    return undefined
  }
}

/** Waits until the process has ended, for at most `ms` milliseconds; says whether it has. */
export async function waitForEnd(pid: number, ms: number): Promise<boolean> {
  const end = Date.now() + ms
  while (isAlive(pid)) {
    if (Date.now() > end) return false
    await sleep(20)
  }
  return true
}

/** Sends a signal to a process that may have ended meanwhile. */
export function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch (error) {
    if (!isErrno(error, 'ESRCH')) throw error
  }
}

/** The last thing a part wrote to its log since `from` bytes, for the sentence that says why it did not start. */
export async function lastWords(logPath: string, from: number): Promise<string> {
  const file = await open(logPath, 'r')
  try {
    const buffer = Buffer.alloc(16_384)
    const { size } = await file.stat()
    const { bytesRead } = await file.read(buffer, 0, buffer.length, Math.max(from, size - buffer.length))
    const lines = buffer
      .toString('utf8', 0, bytesRead)
      .split('\n')
      .filter((line) => line.trim() !== '')
    return lines.findLast(soundsFinal) ?? lines.at(-1) ?? 'it wrote nothing'
  } finally {
    await file.close()
  }
}

/** Our own questions while a server comes up are answered with FATAL too, and explain nothing. */
function soundsFinal(line: string): boolean {
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
