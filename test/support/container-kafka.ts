import { chmod, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { signal, waitForEnd } from '../../src/embedded/postgres/process.ts'
import { accepts, describeNode } from './apache-kafka.ts'
import type { TestBroker } from './broker.ts'
import { ServerContainer } from './containers.ts'
import { findFreePort } from './free-port.ts'

// The one in docker-compose.yml.
const image = 'apache/kafka:4.1.1'
const place = '/var/lib/kafka/data'

/** Starts Apache Kafka's official image, one KRaft node, as a container of the test's own, and ends it with the test. */
export async function startContainerKafka(t: Pick<Test, 'teardown'>): Promise<TestBroker> {
  const dataDir = await mkdtemp(join(tmpdir(), 'container-kafka-'))
  const ports = { port: await findFreePort(), controllerPort: await findFreePort() }
  const { port } = ports
  let pid = await runContainerKafka(dataDir, ports)
  const end = async (name: NodeJS.Signals) => {
    signal(pid, name)
    await waitForEnd(pid, 120_000)
  }
  t.teardown(async () => {
    await end('SIGKILL')
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    brokers: [`127.0.0.1:${port}`],
    port,
    get pid() {
      return pid
    },
    dataDir,
    errors: '',
    kill: async (name) => {
      if (['SIGKILL', 'SIGTERM', 'SIGINT'].includes(name)) await end(name)
      else signal(pid, name)
      return null
    },
    restart: async () => {
      await end('SIGKILL')
      pid = await runContainerKafka(dataDir, ports)
    },
  }
}

/** Starts a node on a folder, or starts it again on what it had stored, and waits until it listens; resolves with its process id. */
export async function runContainerKafka(
  dataDir: string,
  { port, controllerPort }: { port: number; controllerPort: number },
): Promise<number> {
  // It is the image's user that writes.
  await chmod(dataDir, 0o777)
  const member = { nodeId: 1, controllerPorts: new Map([[1, controllerPort]]) }
  const settings = Object.entries(describeNode(place, port, member, new Map(), {})).map(([name, value]) => [
    `KAFKA_${name.toUpperCase().replaceAll('.', '_')}`,
    String(value),
  ])
  return new ServerContainer(image, dataDir, place, port)
    .withEnvironment({
      CLUSTER_ID: 'dHJhbnNhY3Rpb25zLXRlcw',
      KAFKA_HEAP_OPTS: '-Xmx384m',
      ...(Object.fromEntries(settings) as Record<string, string>),
    })
    .run(() => accepts(port))
}
