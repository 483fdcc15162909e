import { execFile, spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdir, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { Test } from 'tap'
import { findKafkaJars } from './apache-kafka/jars.ts'
import type { TestBroker } from './broker.ts'
import { endProcess } from './end-process.ts'
import { findFreePort } from './free-port.ts'

export interface ApacheKafkaOptions {
  /** Listeners beside the plain one, by name, each with its security protocol: SSL, SASL_PLAINTEXT or SASL_SSL. */
  listeners?: Record<string, string>
  /** More lines of server.properties, or other ones. */
  properties?: Record<string, string>
  /** What the storage tool is told when it formats: `--add-scram …`. */
  formatArgs?: string[]
  /** 384 unless this is given. */
  heapMegabytes?: number
  /** Java's flags for the node, in place of those that save a test's time. */
  javaFlags?: readonly string[]
  /** Which node of a cluster it is; it is a cluster of its own unless this is given. */
  member?: ClusterMember
}

export interface ClusterMember {
  nodeId: number
  /** Where the controllers of all nodes listen, by node. */
  controllerPorts: ReadonlyMap<number, number>
}

export interface ApacheKafka extends TestBroker {
  /** The address of a listener of `listeners`. */
  addressOf: (listener: string) => string
}

const run = promisify(execFile)
const endingSignals: ReadonlySet<NodeJS.Signals> = new Set(['SIGKILL', 'SIGTERM', 'SIGINT'])
// The first compiler alone and a small heap: such a node lives for seconds, beside others, on two cores.
const javaFlags = ['-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-Xshare:auto']

/** Starts a real Apache Kafka, one KRaft node on a free port, as a process of the test's own, and ends it with the test. */
export async function startApacheKafka(
  t: Pick<Test, 'teardown'>,
  options: ApacheKafkaOptions = {},
): Promise<ApacheKafka> {
  const dataDir = await mkdtemp(join(tmpdir(), 'apache-kafka-'))
  const node = await formatNode(dataDir, options)
  let child = await startNode(node)
  t.teardown(async () => {
    await endProcess(child, 'SIGKILL')
    await rm(dataDir, { recursive: true, force: true })
  })
  return {
    brokers: [`127.0.0.1:${node.port}`],
    port: node.port,
    get pid() {
      return child.pid!
    },
    dataDir,
    errors: '',
    addressOf: (listener) => `localhost:${node.ports.get(listener)}`,
    kill: async (signal) => {
      if (endingSignals.has(signal)) return endProcess(child, signal)
      child.kill(signal)
      return null
    },
    restart: async () => {
      await endProcess(child, 'SIGKILL')
      child = await startNode(node)
    },
  }
}

export interface KafkaNode {
  readonly port: number
  /** Of the listeners beside the plain one. */
  readonly ports: ReadonlyMap<string, number>
  readonly heapMegabytes: number
  readonly javaFlags: readonly string[]
  readonly classPath: string
  readonly propertiesPath: string
  readonly outputPath: string
}

/** Makes a node's settings and its empty log. */
export async function formatNode(dataDir: string, options: ApacheKafkaOptions = {}): Promise<KafkaNode> {
  const classPath = await findKafkaJars()
  const port = await findFreePort()
  const member = options.member ?? { nodeId: 1, controllerPorts: new Map([[1, await findFreePort()]]) }
  const ports = new Map<string, number>()
  for (const name of Object.keys(options.listeners ?? {})) ports.set(name, await findFreePort())
  const propertiesPath = join(dataDir, 'server.properties')
  await mkdir(join(dataDir, 'logs'), { recursive: true })
  const properties = Object.entries(describeNode(dataDir, port, member, ports, options))
  await writeFile(propertiesPath, properties.map((each) => `${each.join('=')}\n`).join(''))
  // Passwords may stand in it.
  await chmod(propertiesPath, 0o600)
  const clusterId = 'dHJhbnNhY3Rpb25zLXRlcw'
  const args = ['format', '-t', clusterId, '-c', propertiesPath, ...(options.formatArgs ?? [])]
  await run('java', [...javaFlags, '-cp', classPath, 'kafka.tools.StorageTool', ...args])
  const heapMegabytes = options.heapMegabytes ?? 384
  return {
    port,
    ports,
    heapMegabytes,
    javaFlags: options.javaFlags ?? javaFlags,
    classPath,
    propertiesPath,
    outputPath: join(dataDir, 'kafka.log'),
  }
}

/** The lines of server.properties, by name. */
export function describeNode(
  dataDir: string,
  port: number,
  { nodeId, controllerPorts }: ClusterMember,
  ports: ReadonlyMap<string, number>,
  options: ApacheKafkaOptions,
): Record<string, string | number> {
  const others = [...ports].map(([name, each]) => ({ name, address: `${name}://localhost:${each}` }))
  const plain = `PLAINTEXT://127.0.0.1:${port}`
  const clients = [plain, ...others.map((each) => each.address)].join(',')
  const protocols = { PLAINTEXT: 'PLAINTEXT', CONTROLLER: 'PLAINTEXT', ...options.listeners }
  return {
    'process.roles': 'broker,controller',
    'node.id': nodeId,
    'controller.quorum.voters': [...controllerPorts].map(([id, each]) => `${id}@127.0.0.1:${each}`).join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    listeners: `${clients},CONTROLLER://127.0.0.1:${controllerPorts.get(nodeId)}`,
    'advertised.listeners': clients,
    'listener.security.protocol.map': Object.entries(protocols)
      .map((each) => each.join(':'))
      .join(','),
    'log.dirs': join(dataDir, 'logs'),
    // As the embedded broker makes topics that nobody made.
    'num.partitions': 3,
    'message.max.bytes': 64 * 1024 * 1024,
    'socket.request.max.bytes': 128 * 1024 * 1024,
    'group.initial.rebalance.delay.ms': 0,
    'group.min.session.timeout.ms': 1_000,
    // One node, few partitions: what is replicated and loaded at a start is as little as can be.
    'offsets.topic.replication.factor': 1,
    'offsets.topic.num.partitions': 2,
    'transaction.state.log.replication.factor': 1,
    'transaction.state.log.min.isr': 1,
    'transaction.state.log.num.partitions': 2,
    'share.coordinator.state.topic.replication.factor': 1,
    'share.coordinator.state.topic.min.isr': 1,
    ...options.properties,
  }
}

/** Starts the node, or starts it again on what it had stored, and waits until it takes connections. */
export async function startNode(node: KafkaNode, detached = false): Promise<ChildProcess> {
  const output = await open(node.outputPath, 'a')
  const flags = [...node.javaFlags, `-Xmx${node.heapMegabytes}m`]
  const child = spawn('java', [...flags, '-cp', node.classPath, 'kafka.Kafka', node.propertiesPath], {
    stdio: ['ignore', output.fd, output.fd],
    detached,
  })
  await output.close()
  while (!(await accepts(node.port))) {
    if (child.exitCode !== null || child.signalCode !== null) {
      const said = await readFile(node.outputPath, 'utf8')
      throw new Error(`Apache Kafka ended before it took connections: ${said.slice(-4_000)}`)
    }
    await sleep(50)
  }
  return child
}

/** Whether something listens there. Kafka opens its port when it is ready to serve. */
export async function accepts(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
