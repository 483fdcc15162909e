import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { isAlive, isErrno, startOf } from './postgres/process.ts'

/** Who owns the embedded parts of a data folder, as JSON. */
export function ownerPathOf(dataDir: string): string {
  return join(dataDir, 'owner.json')
}

/**
 * Writes down that this process owns the parts of the data folder: two that did would stop them under each other's feet.
 * An owner that was killed owns nothing, and its parts are adopted.
 * @returns how to give the ownership up
 */
export async function takeOwnership(dataDir: string): Promise<() => Promise<void>> {
  await mkdir(dataDir, { recursive: true })
  const path = ownerPathOf(dataDir)
  // Complete before it takes the name, so that nobody reads half of it and takes it for a dead owner's.
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

/** Removes what a dead owner left. */
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
