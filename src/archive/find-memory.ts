import { spawn } from 'node:child_process'
import { statfs } from 'node:fs/promises'
import { text } from 'node:stream/consumers'
import { late, within } from '../runtime/within.ts'

/** File systems that keep their files in memory, by the type that Linux gives them (linux/magic.h). */
const typesInMemory: Readonly<Record<number, string>> = { 0x01021994: 'tmpfs', 0x858458f6: 'ramfs' }

/**
 * Names the file system of a folder if it keeps its files in memory; else null. What is in there is gone when the machine, or the
 * container, stops.
 *
 * @throws what the file system says if the folder is not there
 */
export async function findMemory(directory: string): Promise<string | null> {
  return nameMemory((await statfs(directory)).type)
}

/**
 * The same, by a process of its own: a file system that hangs would keep a thread of this one, and process.exit waits for all threads.
 *
 * @returns null also if the folder is not there, or does not answer within `msMax`
 */
export async function findMemoryApart(directory: string, msMax: number): Promise<string | null> {
  const script =
    'require("node:fs").statfs(process.argv[1], (error, found) => console.log(found?.type ?? ""))'
  const child = spawn(process.execPath, ['-e', script, directory], {
    stdio: ['ignore', 'pipe', 'ignore'],
    env: {},
  })
  child.once('error', () => undefined)
  child.unref()
  const answer = await within(
    text(child.stdout).catch(() => ''),
    msMax,
  )
  if (answer === late) {
    child.kill('SIGKILL')
    child.stdout.destroy()
    return null
  }
  return answer.trim() === '' ? null : nameMemory(Number(answer))
}

function nameMemory(type: number): string | null {
  // As 32 bits without a sign, whatever the system made of it.
  return typesInMemory[type >>> 0] ?? null
}

export function explainMemory(directory: string, fileSystem: string): string {
  return `${directory} is in memory (${fileSystem}): archives there are lost when the machine or the container stops. Name a folder on a disk`
}
