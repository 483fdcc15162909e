import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, open, readFile, rm, writeFile } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { programArguments } from '../runtime/program-arguments.ts'
import { endWithUs, type Lifeline } from './end-with-us.ts'
import { isAlive, isErrno, lastLine, signal, startOf, waitForEnd } from './postgres/process.ts'
import { refuseTakenPort } from './refuse-taken-port.ts'

export interface PartOptions {
  /** Names the log `NAME.log` and the record `NAME.json` in the data folder, and the part in sentences. */
  name: string
  /** A script in this file's folder, without its extension. */
  script: string
  args: string[]
  /** The port of 127.0.0.1 that `args` tell the script. */
  port: number
  dataDir: string
  /** Whether the part serves on the port now. It may throw while it does not. */
  ready: (port: number) => Promise<boolean>
  /** The end of the sentence about a taken port. */
  remedy: string
  /** How the part ends when this process is gone. Without it the part goes on. */
  lifeline?: Lifeline
}

export interface RunningPart {
  pid: number
  port: number
  /** Whether the part was already running, left by a process that has ended. */
  adopted: boolean
  /** Sends SIGTERM, and SIGKILL if the part has not ended after 5 s. */
  stop(): Promise<void>
}

/**
 * What is recorded about a part, so that the next start recognises it. The start time tells a reused pid from
 * the part's own.
 */
interface PartRecord {
  pid: number
  startedAt: string | undefined
  port: number
  args: string[]
}

/**
 * Starts a script as a process, or adopts the one that still runs. It has its own process group and logs to a
 * file, as PostgreSQL does, so that Ctrl-C does not reach it before this process.
 *
 * @throws an Error with one sentence, if its port is taken or it ends before it is ready
 */
export async function startPart(options: PartOptions): Promise<RunningPart> {
  const dataDir = resolve(options.dataDir)
  await mkdir(dataDir, { recursive: true })
  const recordPath = join(dataDir, `${options.name}.json`)
  const live = await adopt(recordPath, options)
  const pid = live ?? (await launch(dataDir, recordPath, options))
  if (options.lifeline !== undefined) endWithUs(pid, 'SIGTERM', options.lifeline)
  return { pid, port: options.port, adopted: live !== undefined, stop: () => stop(pid, recordPath) }
}

/**
 * The pid of the running part. A part that runs with other arguments, or no longer answers, is stopped first.
 */
async function adopt(recordPath: string, options: PartOptions): Promise<number | undefined> {
  const record = await readRecord(recordPath)
  if (!record || !isAlive(record.pid) || startOf(record.pid) !== record.startedAt) return undefined
  const sameArguments = JSON.stringify(record.args) === JSON.stringify(options.args)
  if (sameArguments && (await waitUntilReady(record.pid, options, 5_000))) return record.pid
  await stop(record.pid, recordPath)
  return undefined
}

async function launch(dataDir: string, recordPath: string, options: PartOptions): Promise<number> {
  const script = programArguments(`embedded/${options.script}`)
  const { port, name, remedy } = options
  await refuseTakenPort({ port, part: name, program: script.at(-1) ?? '', remedy })
  const logPath = join(dataDir, `${options.name}.log`)
  const log = await open(logPath, 'a', 0o600)
  const { size } = await log.stat()
  const child = spawn(process.execPath, [...script, ...options.args], {
    detached: true,
    stdio: ['ignore', log.fd, log.fd],
  })
  await once(child, 'spawn')
  child.unref()
  await log.close()
  const pid = child.pid ?? 0
  const record: PartRecord = { pid, startedAt: startOf(pid), port: options.port, args: options.args }
  await writeFile(recordPath, JSON.stringify(record))
  if (await waitUntilReady(pid, options, 30_000)) return pid
  const fault = isAlive(pid) ? 'was not ready within 30 s' : 'ended while it started'
  await stop(pid, recordPath)
  throw new Error(
    `The embedded ${options.name} ${fault}. The last line in ${logPath}: ${await lastLine(logPath, size)}`,
  )
}

async function waitUntilReady(pid: number, { port, ready }: PartOptions, ms: number): Promise<boolean> {
  const end = Date.now() + ms
  while (isAlive(pid) && Date.now() < end) {
    if (await ready(port).catch(() => false)) return true
    await sleep(25)
  }
  return false
}

async function stop(pid: number, recordPath: string): Promise<void> {
  signal(pid, 'SIGTERM')
  if (!(await waitForEnd(pid, 5_000))) {
    signal(pid, 'SIGKILL')
    await waitForEnd(pid, 5_000)
  }
  await rm(recordPath, { force: true })
}

/** A half-written record, as a kill can leave it, counts as none. */
async function readRecord(path: string): Promise<PartRecord | undefined> {
  try {
    return JSON.parse(await readFile(path, 'utf8')) as PartRecord
  } catch (error) {
    if (error instanceof SyntaxError || isErrno(error, 'ENOENT')) return undefined
    throw error
  }
}
