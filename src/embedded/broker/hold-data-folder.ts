import {
  existsSync,
  linkSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { replaceFile } from './replace-file.ts'

/** Must be raised when an older broker cannot read what this one writes, or the reverse. */
const formatVersion = 'development broker, format 1'

/**
 * Locks the folder for this broker.
 *
 * The lock is a file that names its holder by process id and start time, because Node has no flock. A lock
 * whose holder is gone, as after kill -9, is replaced.
 *
 * @returns the function that releases the lock
 * @throws an Error with one sentence, if the folder cannot be used
 */
export function holdDataFolder(dataDir: string): () => void {
  mkdirSync(dataDir, { recursive: true })
  const formatPath = join(dataDir, 'format')
  const found = existsSync(formatPath) ? readFileSync(formatPath, 'utf8').trim() : null
  if (
    found === null &&
    readdirSync(dataDir).some((name) => !name.startsWith('lock') && !name.startsWith('format'))
  ) {
    throw new Error(`The folder ${dataDir} holds other files; give the broker an empty one.`)
  }
  if (found !== null && found !== formatVersion) {
    throw new Error(
      `The folder ${dataDir} was written in "${found}", but this broker reads "${formatVersion}".`,
    )
  }
  const release = lock(join(dataDir, 'lock'), dataDir)
  if (found === null) replaceFile(formatPath, `${formatVersion}\n`)
  return release
}

function lock(path: string, dataDir: string): () => void {
  const self = describeProcess(process.pid) ?? String(process.pid)
  const candidate = `${path}.${process.pid}`
  writeFileSync(candidate, self)
  try {
    while (!tryLink(candidate, path)) removeStaleLock(path, dataDir)
  } finally {
    unlinkSync(candidate)
  }
  return () => unlinkSync(path)
}

/** A link, unlike a write, creates the lock together with its text, and only if there is none. */
function tryLink(candidate: string, path: string): boolean {
  try {
    linkSync(candidate, path)
    return true
  } catch (fault) {
    if ((fault as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw fault
  }
}

function removeStaleLock(path: string, dataDir: string): void {
  const holder = readHolder(path)
  if (holder === null) return
  const pid = Number.parseInt(holder, 10)
  const inUse = new Error(`The folder ${dataDir} is in use by the broker with process id ${pid}.`)
  if (describeProcess(pid) === holder) throw inUse
  // If two processes find the same stale lock, only one moves it. The other must not remove the winner's new
  // lock.
  const aside = `${path}.stale.${process.pid}`
  renameSync(path, aside)
  const moved = readHolder(aside)
  if (moved !== holder) tryLink(aside, path)
  unlinkSync(aside)
  if (moved !== holder) throw inUse
}

function readHolder(path: string): string | null {
  return existsSync(path) ? readFileSync(path, 'utf8') : null
}

/**
 * The process id and, if /proc tells it, the start time, so that a reused process id is not mistaken for the
 * holder.
 */
function describeProcess(pid: number): string | null {
  try {
    process.kill(pid, 0)
  } catch (fault) {
    // EPERM: the process lives, and belongs to another user.
    if ((fault as NodeJS.ErrnoException).code !== 'EPERM') return null
  }
  const statPath = `/proc/${pid}/stat`
  if (!existsSync(statPath)) return String(pid)
  // The program's name, in parentheses, may hold spaces. The start time is the 20th field after it (proc(5)).
  const fields = readFileSync(statPath, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return `${pid} ${fields[19] ?? ''}`
}
