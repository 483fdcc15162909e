import { existsSync } from 'node:fs'
import { chmod, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { findBinaries, type Binaries } from '../../src/embedded/postgres/find-binaries.ts'
import { testBinaries } from './postgres.ts'

const library = ['x86_64-linux-gnu', 'aarch64-linux-gnu']
  .map((platform) => `/usr/lib/${platform}/faketime/libfaketime.so.1`)
  .find((path) => existsSync(path))

/** Why a test that steps a server's clock is left out; false where it can be. Goes to tap's `skip`. */
export const withoutClock = library === undefined && 'libfaketime is not installed (Debian: faketime)'

export interface Clock {
  /** PostgreSQL as ever, but for what it thinks the time is. */
  binaries: Binaries
  /** From the next look at the clock on it is so many seconds ahead of the true time, in every process of the server. */
  setAhead(seconds: number): Promise<void>
}

/** A clock for a server of a test's own, right at first. Only the time of day is changed: what the server waits for it waits for truly. */
export async function makeClock(t: Pick<Test, 'teardown'>): Promise<Clock> {
  if (library === undefined) throw new Error(String(withoutClock))
  const folder = await mkdtemp(join(tmpdir(), 'tqp-clock-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  await chmod(folder, 0o755)
  const file = join(folder, 'ahead')
  const setAhead = async (seconds: number) => {
    // In one piece: every look at the clock reads it.
    await writeFile(`${file}.new`, `+${seconds}\n`, { mode: 0o644 })
    await rename(`${file}.new`, file)
  }
  await setAhead(0)
  const { binaries = await findBinaries() } = await testBinaries()
  const postgres = join(folder, 'postgres')
  const environment = {
    LD_PRELOAD: library,
    FAKETIME_TIMESTAMP_FILE: file,
    FAKETIME_NO_CACHE: '1',
    FAKETIME_DONT_FAKE_MONOTONIC: '1',
  }
  const assignments = Object.entries(environment).map(([name, value]) => `${name}='${value}'`)
  await writeFile(postgres, `#!/bin/sh\n${assignments.join(' ')} exec '${binaries.postgres}' "$@"\n`, {
    mode: 0o755,
  })
  return { binaries: { ...binaries, postgres }, setAhead }
}
