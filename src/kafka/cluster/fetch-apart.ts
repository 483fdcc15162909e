import { createRequire } from 'node:module'
import { noteCut } from './watch-cuts.ts'

type TopicPartitions = { topic: string; partitions: number[] }
type Connection = { isConnected(): boolean }
type ConnectionPool = {
  host: string
  port: number
  rack: string | null
  pool: readonly Connection[]
  getConnection(index: number): Promise<Connection>
  getConnectionByRequest: (request: unknown) => Promise<Connection>
}
type Broker = {
  connectionPool: ConnectionPool
  isConnected(): boolean
  disconnect: (this: Broker) => Promise<void>
}
type BrokerPool = {
  brokers: Record<string, Broker>
  rootLogger: unknown
  versions: unknown
  connectionPoolBuilder: { build(to: ConnectionPool): Promise<ConnectionPool> }
  createBroker(options: object): Broker
  connectBroker(broker: Broker): Promise<void>
  findBroker: (this: BrokerPool, node: { nodeId: string | number }) => Promise<Broker>
}
type ConsumerGroup = {
  cluster: { getNodeIds(): string[] }
  subscriptionState: { assigned(): TopicPartitions[] }
  getNodeIds: (this: ConsumerGroup) => string[]
  filterPartitionsByNode: (
    this: ConsumerGroup,
    nodeId: string,
    assigned: TopicPartitions[],
  ) => TopicPartitions[]
  joinAndSync(): Promise<void>
  recoverFromFetch: (this: ConsumerGroup, error: Error) => Promise<void>
}
type Errors = { KafkaJSError: new (message: string) => Error }

/** The most fetchers of one broker. So many batches are stored at once, too. */
export const fetchersMax = 4

// kafkajs fetches over a broker's second connection.
const sharedConnection = 1
const ownConnection = 0

// By the broker as kafkajs knows it, and by share: what its other fetchers ask.
const further = new WeakMap<Broker, Map<number, Broker>>()
let isInstalled = false

/**
 * Makes a consumer group fetch its partitions apart from each other: up to four fetchers for each broker,
 * each with its share of the partitions and a connection of its own. Unchanged, kafkajs 2.2.4 has one fetcher
 * for each broker, which fetches again only when all partitions of its last answer are handled: a record
 * waits while the slices of other partitions are stored. Depends on the exact pin, and applies to the whole
 * process.
 */
export function fetchApart(): void {
  if (isInstalled) return
  isInstalled = true
  const load = createRequire(import.meta.url)
  const { prototype: group } = load('kafkajs/src/consumer/consumerGroup.js') as { prototype: ConsumerGroup }
  const { prototype: pool } = load('kafkajs/src/cluster/brokerPool.js') as { prototype: BrokerPool }
  const { prototype: broker } = load('kafkajs/src/broker/index.js') as { prototype: Broker }
  const { KafkaJSError } = load('kafkajs/src/errors.js') as Errors
  shareOut(group)
  connectApart(pool, broker)
  joinTogether(group, KafkaJSError)
}

/**
 * Which of a broker's fetchers fetches each of a member's partitions. By its place among them, and not by its
 * number: a member may have only even ones.
 */
export function sharesOf(assigned: readonly number[]): ReadonlyMap<number, number> {
  const ordered = assigned.toSorted((one, other) => one - other)
  return new Map(ordered.map((partition, at) => [partition, at % fetchersMax]))
}

/** The name of a broker's fetcher, as kafkajs' events have it under `nodeId`. */
export function fetcherOf(nodeId: string | number, share: number): string {
  return share === 0 ? String(nodeId) : `${nodeId}/${share}`
}

/** kafkajs makes a fetcher for each node id: here it is given several names of each broker. */
function shareOut(group: ConsumerGroup): void {
  group.getNodeIds = function () {
    const most = Math.max(0, ...this.subscriptionState.assigned().map(({ partitions }) => partitions.length))
    const shares = Array.from({ length: Math.max(1, Math.min(fetchersMax, most)) }, (_, share) => share)
    return this.cluster.getNodeIds().flatMap((nodeId) => shares.map((share) => fetcherOf(nodeId, share)))
  }
  const { filterPartitionsByNode } = group
  group.filterPartitionsByNode = function (name, assigned) {
    const { nodeId, share } = readName(name)
    const shared = assigned.map(({ topic, partitions }) => {
      const shares = sharesOf(partitions)
      return { topic, partitions: partitions.filter((partition) => shares.get(partition) === share) }
    })
    return filterPartitionsByNode.call(this, nodeId, shared)
  }
}

/** The first fetcher of a broker uses the broker's own connection, each of the others one of its own. */
function connectApart(pool: BrokerPool, broker: Broker): void {
  const { findBroker } = pool
  pool.findBroker = async function ({ nodeId: name }) {
    const { nodeId, share } = readName(name)
    if (share === 0 && isCut(this.brokers[nodeId], sharedConnection)) noteCut(this, nodeId)
    const own = await findBroker.call(this, { nodeId })
    if (share === 0) return own
    const others = further.get(own) ?? new Map<number, Broker>()
    further.set(own, others)
    const found = others.get(share) ?? (await createFurther(this, own, nodeId))
    others.set(share, found)
    if (isCut(found, ownConnection)) noteCut(this, String(name))
    await this.connectBroker(found)
    return found
  }
  const { disconnect } = broker
  broker.disconnect = async function () {
    const others = [...(further.get(this)?.values() ?? [])]
    await Promise.all([disconnect.call(this), ...others.map((each) => each.disconnect())])
  }
}

/** Whether the connection of the fetches is gone, and not only its login due again. Another one may have been made meanwhile, for a heartbeat. */
function isCut(broker: Broker | undefined, connection: number): boolean {
  return broker?.connectionPool.pool[connection]?.isConnected() === false
}

/**
 * kafkajs joins the group within the fetch that finds new partitions of the topic. Each fetcher finds them, so one
 * member would join several times, each time with all others, while batches of the assignment before are in hand.
 * Here such a fetch ends as if the group were rebalancing: kafkajs then joins once, after all fetchers have ended.
 */
function joinTogether(group: ConsumerGroup, KafkaJSError: Errors['KafkaJSError']): void {
  const { recoverFromFetch } = group
  const askToJoin = { value: () => Promise.reject(rebalancing(KafkaJSError)) }
  group.recoverFromFetch = function (error) {
    return recoverFromFetch.call(Object.create(this, { joinAndSync: askToJoin }) as ConsumerGroup, error)
  }
}

function rebalancing(KafkaJSError: Errors['KafkaJSError']): Error {
  return Object.assign(new KafkaJSError('The topic has changed'), { type: 'REBALANCE_IN_PROGRESS' })
}

async function createFurther(pool: BrokerPool, { connectionPool }: Broker, nodeId: string): Promise<Broker> {
  const built = await pool.connectionPoolBuilder.build(connectionPool)
  // kafkajs would open a second connection for what is no fetch.
  built.getConnectionByRequest = () => built.getConnection(ownConnection)
  const { rootLogger: logger, versions } = pool
  return pool.createBroker({ logger, versions, connectionPool: built, nodeId })
}

/** @param name kafkajs also has numbers of brokers */
function readName(name: string | number): { nodeId: string; share: number } {
  const [nodeId = '', share = '0'] = String(name).split('/')
  return { nodeId, share: Number(share) }
}
