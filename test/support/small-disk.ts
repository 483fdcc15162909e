import { execFileSync, spawnSync } from 'node:child_process'
import { chmodSync, closeSync, mkdtempSync, openSync, rmdirSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { isErrno } from '../../src/embedded/postgres/process.ts'

/** Why a test that needs a disk of its own is left out; false where one can be mounted. Goes to tap's `skip`. */
export const withoutMount = canMount() ? false : 'no tmpfs can be mounted here: that takes root'

export interface SmallDisk {
  path: string
  /** Leaves not a block of it free. */
  fill(): void
  free(): void
}

/** A disk of a fixed size, in memory, until the test ends. */
export function mountSmallDisk(t: Pick<Test, 'teardown'>, megabytes: number): SmallDisk {
  const path = mount(megabytes)
  t.teardown(() => unmount(path))
  const filler = join(path, 'filler')
  return {
    path,
    fill: () => {
      for (const size of [1024 * 1024, 4096, 1]) writeUntilFull(filler, Buffer.alloc(size))
    },
    free: () => rmSync(filler),
  }
}

function mount(megabytes: number): string {
  const path = mkdtempSync(join(tmpdir(), 'tqp-disk-'))
  chmodSync(path, 0o755)
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m,mode=755`, 'tqp-test', path], {
    stdio: 'ignore',
  })
  return path
}

function unmount(path: string): void {
  spawnSync('umount', ['--lazy', path])
  rmdirSync(path)
}

function canMount(): boolean {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return false
  try {
    unmount(mount(1))
    return true
  } catch {
    return false
  }
}

function writeUntilFull(path: string, block: Buffer): void {
  const file = openSync(path, 'a')
  try {
    for (;;) if (writeSync(file, block) === 0) return
  } catch (error) {
    if (!isErrno(error, 'ENOSPC')) throw error
  } finally {
    closeSync(file)
  }
}
