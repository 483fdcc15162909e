import { mkdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { isAlive } from '../../src/embedded/postgres/process.ts'
import { accepts, formatNode, startApacheKafka, startNode } from './apache-kafka.ts'
import { startBroker as startEmbeddedBroker, type TestBroker } from './broker.ts'
import { withLock } from './lock.ts'

export type { TestBroker }

// One node for every test file of this user that needs no broker of its own.
const folder = join(tmpdir(), `tqp-test-kafka-${process.getuid?.() ?? 'user'}`)
const nodeFile = join(folder, 'node.json')
const lockFile = `${folder}.lock`

type SharedNode = { pid: number; port: number }

/** Which Kafka the tests use: TEST_BROKER=apache for a real one, or the one that KAFKA_BROKER names, else the embedded one. */
export function kafkaKind(): 'embedded' | 'apache' | 'named' {
  if (process.env.KAFKA_BROKER) return 'named'
  return process.env.TEST_BROKER === 'apache' ? 'apache' : 'embedded'
}

/** Brokers for a test that has topics and groups of its own, and leaves the broker alone. */
export async function startKafka(t: Pick<Test, 'teardown'>): Promise<string[]> {
  switch (kafkaKind()) {
    case 'named':
      return process.env.KAFKA_BROKER!.split(',')
    case 'apache':
      return [`127.0.0.1:${await ensureSharedKafka()}`]
    case 'embedded':
      return (await startEmbeddedBroker(t)).brokers
  }
}

/** A broker of the test's own, to kill, freeze and restart; a named one is not the tests' to kill. */
export function startBroker(t: Pick<Test, 'teardown'>): Promise<TestBroker> {
  return kafkaKind() === 'embedded' ? startEmbeddedBroker(t) : startApacheKafka(t)
}

/** The port of the Apache Kafka that the tests share; the first one that asks starts it. */
export async function ensureSharedKafka(): Promise<number> {
  return withLock(lockFile, async () => {
    const running = await findShared()
    if (running !== null) return running.port
    await rm(folder, { recursive: true, force: true })
    await mkdir(folder, { recursive: true })
    const node = await formatNode(folder)
    const child = await startNode(node, true)
    child.unref()
    await writeFile(nodeFile, JSON.stringify({ pid: child.pid, port: node.port }))
    return node.port
  })
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
