import { execFileSync } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { cpus } from 'node:os'
import type pg from 'pg'
import type { Parts } from './parts.ts'

const ticksPerSecond = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))

export type Cpu = Record<'service' | 'postgres' | 'broker' | 'processor', number>

/** CPU seconds used so far, user and system, by process; PostgreSQL's is that of all its processes. Pid 0 has used none. */
export function readCpu(parts: Parts, servicePid: number): Cpu {
  return {
    service: ticksOf(servicePid) / ticksPerSecond,
    postgres:
      (familyOf(parts.postgresPid).reduce((sum, pid) => sum + ticksOf(pid), 0) +
        goneTicksOf(parts.postgresPid)) /
      ticksPerSecond,
    broker: ticksOf(parts.brokerPid) / ticksPerSecond,
    processor: ticksOf(parts.processorPid) / ticksPerSecond,
  }
}

/** Time on a CPU (proc(5), /proc/PID/schedstat): what others take of the machine in between does not count. */
export function readCpuNs(pid: number): number {
  return Number(readFileSync(`/proc/${pid}/schedstat`, 'utf8').split(' ')[0])
}

/** For `ask`: bytes of WAL written so far. */
export const walPosition = `select pg_current_wal_lsn() - '0/0'::pg_lsn as value`

/** The one number that a query answers as `value`. */
export async function ask(database: pg.Client | pg.Pool, query: string): Promise<number> {
  const { rows } = await database.query<{ value: string | number }>(query)
  return Number(rows[0]?.value)
}

/** The resident memory of a process at its highest, in MiB. */
export function readPeakMemory(pid: number): number {
  return readStatus(pid, /^VmHWM:\s+(\d+) kB$/m)
}

/** The resident memory of a process now, in MiB. */
export function readMemory(pid: number): number {
  return readStatus(pid, /^VmRSS:\s+(\d+) kB$/m)
}

function readStatus(pid: number, line: RegExp): number {
  const found = line.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  return Math.round(Number(found?.[1] ?? 0) / 1024)
}

function familyOf(parent: number): number[] {
  const children = readdirSync('/proc').filter(
    (name) => /^\d+$/.test(name) && parentOf(Number(name)) === parent,
  )
  return [parent, ...children.map(Number)]
}

function parentOf(pid: number): number {
  return Number(fieldsOf(pid)[1] ?? 0)
}

function ticksOf(pid: number): number {
  const fields = fieldsOf(pid)
  return Number(fields[11] ?? 0) + Number(fields[12] ?? 0)
}

/** What a process's ended children had used. */
function goneTicksOf(pid: number): number {
  const fields = fieldsOf(pid)
  return Number(fields[13] ?? 0) + Number(fields[14] ?? 0)
}

/** The fields of /proc/PID/stat from the third on (proc(5)); empty for a process that is gone. */
function fieldsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'utf8')
      .replace(/^.*\) /s, '')
      .split(' ')
  } catch {
    return []
  }
}

/** What the figures were taken on. */
export function describeMachine(): string {
  return `${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}`
}
