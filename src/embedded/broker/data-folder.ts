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

/** Raised whenever an older broker could not read what this one writes, or the other way round. */
const formatVersion = 'development broker, format 1'

/**
 * Makes the folder ours, or throws one sentence that says why not. Gives back the function that lets it go.
 *
 * The lock is a file that names its holder by process id and start time, since Node has no flock; a lock whose holder is
 * gone, which is what kill -9 leaves, is taken over.
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

/** A link, unlike a write, makes the lock together with its text, and only if there is none. */
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
  // Of two that found the same stale lock, only one moves it; the other must not move the winner's new one for good.
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

/** The process id and, where /proc tells it, the start time, so that an id that was given out again is not mistaken. */
function describeProcess(pid: number): string | null {
  try {
    process.kill(pid, 0)
  } catch (fault) {
    // EPERM: it lives, and belongs to somebody else.
    if ((fault as NodeJS.ErrnoException).code !== 'EPERM') return null
  }
  const statPath = `/proc/${pid}/stat`
  if (!existsSync(statPath)) return String(pid)
  // The name, in parentheses, may hold spaces; the start time is the 20th field behind it (proc(5)).
  const fields = readFileSync(statPath, 'utf8')
    .replace(/^.*\) /s, '')
    .split(' ')
  return `${pid} ${fields[19] ?? ''}`
}
