import { spawnSync } from 'node:child_process'
import { copyFile, mkdir, rename, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { withLock } from '../lock.ts'

const pom = fileURLToPath(new URL('pom.xml', import.meta.url))
const folder = join(tmpdir(), `tqp-test-kafka-jars-${process.getuid?.() ?? 'user'}`)
const libraries = join(folder, 'libs-4.1.1-with-tools')
const copyPlugin = 'org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies'

/**
 * Apache Kafka as a class path, copied once out of Maven's repository into a place that outlives a run.
 *
 * @throws a sentence where Maven is missing or fails
 */
export async function findKafkaJars(): Promise<string> {
  await mkdir(folder, { recursive: true })
  await withLock(join(folder, 'lock'), async () => {
    if ((await stat(libraries).catch(() => null)) === null) await copyJars()
  })
  return join(libraries, '*')
}

/** Under another name until it is complete, so that a killed run leaves no half of it. */
async function copyJars(): Promise<void> {
  const staging = join(folder, 'staging')
  await rm(staging, { recursive: true, force: true })
  await mkdir(staging)
  await copyFile(pom, join(staging, 'pom.xml'))
  const args = ['-q', '-B', copyPlugin, '-DincludeScope=runtime', '-DoutputDirectory=libs']
  const { error, status, stdout, stderr } = spawnSync('mvn', args, { cwd: staging, encoding: 'utf8' })
  if (error) throw new Error('Apache Kafka for the tests needs Java 17 and Maven', { cause: error })
  if (status !== 0) throw new Error(`Maven did not bring Apache Kafka: ${stdout}${stderr}`)
  await rename(join(staging, 'libs'), libraries)
}
