import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { isAlive } from '../../src/embedded/postgres/process.ts'
import { accepts, formatNode, startApacheKafka, startNode } from './apache-kafka.ts'
import { startBroker as startEmbeddedBroker, type TestBroker } from './broker.ts'
import { runContainerKafka, startContainerKafka } from './container-kafka.ts'
import { findFreePort } from './free-port.ts'
import { withLock } from './lock.ts'

export type { TestBroker }

// One node for every test file of this user that needs no broker of its own.
const folder = join(
  tmpdir(),
  `tqp-test-kafka-${process.getuid?.() ?? 'user'}${kafkaKind() === 'container' ? '-container' : ''}`,
)
const nodeFile = join(folder, 'node.json')
const lockFile = `${folder}.lock`

type SharedNode = { pid: number; port: number }

/**
 * Which Kafka the tests use: TEST_BROKER=apache for a real one, `container` for its official image, or the one that KAFKA_BROKER names,
 * else the embedded one.
 */
export function kafkaKind(): 'embedded' | 'apache' | 'container' | 'named' {
  if (process.env.KAFKA_BROKER) return 'named'
  const kind = process.env.TEST_BROKER
  return kind === 'apache' || kind === 'container' ? kind : 'embedded'
}

/** Brokers for a test that has topics and groups of its own, and leaves the broker alone. */
export async function startKafka(t: Pick<Test, 'teardown'>): Promise<string[]> {
  switch (kafkaKind()) {
    case 'named':
      return process.env.KAFKA_BROKER!.split(',')
    case 'apache':
    case 'container':
      return [`127.0.0.1:${await ensureSharedKafka()}`]
    case 'embedded':
      return (await startEmbeddedBroker(t)).brokers
  }
}

/** A broker of the test's own, to kill, freeze and restart; a named one is not the tests' to kill. */
export function startBroker(t: Pick<Test, 'teardown'>): Promise<TestBroker> {
  switch (kafkaKind()) {
    case 'embedded':
      return startEmbeddedBroker(t)
    case 'container':
      return startContainerKafka(t)
    case 'apache':
    case 'named':
      return startApacheKafka(t)
  }
}

/** The port of the Apache Kafka that the tests share; the first one that asks starts it. */
async function ensureSharedKafka(): Promise<number> {
  return withLock(lockFile, async () => {
    const running = await findShared()
    if (running !== null) return running.port
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    const node = await (kafkaKind() === 'container' ? startSharedContainer() : startSharedNode())
    await writeFile(nodeFile, JSON.stringify(node))
    return node.port
  })
}

async function startSharedNode(): Promise<SharedNode> {
  const node = await formatNode(folder)
  const child = await startNode(node, true)
  child.unref()
  return { pid: child.pid ?? 0, port: node.port }
}

async function startSharedContainer(): Promise<SharedNode> {
  const ports = { port: await findFreePort(), controllerPort: await findFreePort() }
  const dataDir = join(folder, 'data')
  await mkdir(dataDir)
  return { pid: await runContainerKafka(dataDir, ports), port: ports.port }
}

/** Ends the shared node and forgets its topics; says in a sentence what it did, or nothing if there was none. */
export async function stopSharedKafka(): Promise<string | null> {
  return withLock(lockFile, async () => {
    const running = await findShared()
    if (running === null) return null
    process.kill(running.pid, 'SIGKILL')
    await rm(folder, { recursive: true, force: true })
    return 'Apache Kafka is stopped'
  })
}

async function findShared(): Promise<SharedNode | null> {
  const text = await readFile(nodeFile, 'utf8').catch(() => null)
  if (text === null) return null
  const node = JSON.parse(text) as SharedNode
  return isAlive(node.pid) && (await accepts(node.port)) ? node : null
}
