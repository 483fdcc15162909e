import { readdir, readFile, readlink } from 'node:fs/promises'

export interface Listener {
  pid: number
  /** Its command line; the program is the first word. */
  words: string[]
}

/**
 * Finds the process that listens on the TCP port; undefined if the system does not tell: it is not Linux, or
 * the process belongs to another user.
 */
export async function findListener(port: number): Promise<Listener | undefined> {
  const sockets = await findSockets(port)
  if (sockets.size === 0) return undefined
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    if (!(await holds(entry, sockets))) continue
    const line = await readFile(`/proc/${entry}/cmdline`, 'utf8').catch(() => '')
    return { pid: Number(entry), words: line.split('\0').filter((word) => word !== '') }
  }
  return undefined
}

/**
 * The inodes of the listening sockets, in the form of the links in /proc/PID/fd; proc(5) describes the
 * columns.
 */
async function findSockets(port: number): Promise<ReadonlySet<string>> {
  const tables = ['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => ''))
  const rows = (await Promise.all(tables)).flatMap((table) => table.split('\n').slice(1))
  const suffix = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const listens = '0A'
  return new Set(
    rows
      .map((row) => row.trim().split(/\s+/))
      .filter((columns) => columns[1]?.endsWith(suffix) === true && columns[3] === listens)
      .map((columns) => `socket:[${columns[9] ?? ''}]`),
  )
}

async function holds(pid: string, sockets: ReadonlySet<string>): Promise<boolean> {
  const files = await readdir(`/proc/${pid}/fd`).catch(() => [])
  for (const file of files) {
    const link = await readlink(`/proc/${pid}/fd/${file}`).catch(() => '')
    if (sockets.has(link)) return true
  }
  return false
}
