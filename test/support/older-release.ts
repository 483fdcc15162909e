import { execFile, execFileSync } from 'node:child_process'
import { mkdir, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Test } from 'tap'

const root = fileURLToPath(new URL('../../', import.meta.url))
const run = promisify(execFile)

/** Why a test that runs the release of this commit is left out; false where the history has it. Goes to tap's `skip`. */
export function withoutRelease(commit: string): string | false {
  try {
    execFileSync('git', ['cat-file', '-e', `${commit}^{commit}`], { cwd: root, stdio: 'ignore' })
    return false
  } catch {
    return `the history of this checkout does not have commit ${commit} (a shallow clone, or no git)`
  }
}

/** The edition of the SQL functions that a release brings. */
export function editionOf(commit: string): number {
  const text = execFileSync('git', ['show', `${commit}:migrations/functions/edition.json`], {
    cwd: root,
    encoding: 'utf8',
  })
  return (JSON.parse(text) as { edition: number }).edition
}

/**
 * Lays out the release of a commit in a folder of its own until the test ends, with the packages of today. It is run from its source.
 *
 * @returns the command that runs its service
 */
export async function layOutRelease(t: Pick<Test, 'teardown'>, commit: string): Promise<string[]> {
  const folder = await mkdtemp(join(tmpdir(), 'tqp-release-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const release = join(folder, 'release')
  await mkdir(release)
  const archive = join(folder, 'release.tar')
  await run('git', ['archive', `--output=${archive}`, commit, 'src', 'migrations', 'package.json'], {
    cwd: root,
  })
  await run('tar', ['-xf', archive, '-C', release])
  await symlink(join(root, 'node_modules'), join(release, 'node_modules'))
  return [process.execPath, '--import', import.meta.resolve('tsx'), join(release, 'src/main.ts')]
}
