import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive, isErrno, startOf } from './postgres/process.ts'

/** The JSON file that names the owner of a data folder's embedded parts. */
export function ownerPathOf(dataDir: string): string {
  return join(dataDir, 'owner.json')
}

/**
 * Records that this process owns the parts of the data folder: with two owners, each would stop parts that
 * the other uses. An owner that was killed no longer counts, and its parts are adopted.
 * @returns a function that gives the ownership up
 * @throws an Error with one sentence, if another process owns them
 */
export async function takeOwnership(dataDir: string): Promise<() => Promise<void>> {
  await mkdir(dataDir, { recursive: true })
  const path = ownerPathOf(dataDir)
  // Written completely before it gets its name, so that nobody reads half of it and takes the owner for dead.
  const complete = `${path}.${process.pid}`
  await writeFile(complete, JSON.stringify({ pid: process.pid, startedAt: startOf(process.pid) }))
  try {
    while (!(await claim(complete, path))) await refuseLiveOwner(path, dataDir)
  } finally {
    await rm(complete, { force: true })
  }
  return () => rm(path, { force: true })
}

async function claim(complete: string, path: string): Promise<boolean> {
  try {
    await link(complete, path)
    return true
  } catch (error) {
    if (isErrno(error, 'EEXIST')) return false
    throw error
  }
}

/** Removes a dead owner's file; refuses if the owner lives. */
async function refuseLiveOwner(path: string, dataDir: string): Promise<void> {
  const owner = JSON.parse(await readFile(path, 'utf8').catch(() => '{}')) as {
    pid?: number
    startedAt?: string
  }
  if (owner.pid === undefined || !isAlive(owner.pid) || startOf(owner.pid) !== owner.startedAt) {
    await rm(path, { force: true })
    return
  }
  throw new Error(
    `Another instance (process ${owner.pid}) runs the embedded parts in ${dataDir}: start this one with the line that the other ` +
      'printed, or set DATA_DIR',
  )
}
