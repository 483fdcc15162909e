import { createRequire } from 'node:module'

type TopicPartitions = { topic: string; partitions: number[] }
type Connection = object
type ConnectionPool = {
  host: string
  port: number
  rack: string | null
  getConnection(index: number): Promise<Connection>
  getConnectionByRequest: (request: unknown) => Promise<Connection>
}
type Broker = {
  connectionPool: ConnectionPool
  disconnect: (this: Broker) => Promise<void>
}
type BrokerPool = {
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
}

/** The most fetchers of one broker. So many batches are stored at once, too. */
export const fetchersMax = 4

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
  shareOut(group)
  connectApart(pool, broker)
}

/** The name of the fetcher that fetches this partition from this broker, as kafkajs' events have it under `nodeId`. */
export function fetcherOf(nodeId: number, partition: number, assigned: readonly number[]): string {
  return nameOf(String(nodeId), shareOf(partition, assigned))
}

/** kafkajs makes a fetcher for each node id: here it is given several names of each broker. */
function shareOut(group: ConsumerGroup): void {
  group.getNodeIds = function () {
    const most = Math.max(0, ...this.subscriptionState.assigned().map(({ partitions }) => partitions.length))
    const shares = Array.from({ length: Math.max(1, Math.min(fetchersMax, most)) }, (_, share) => share)
    return this.cluster.getNodeIds().flatMap((nodeId) => shares.map((share) => nameOf(nodeId, share)))
  }
  const { filterPartitionsByNode } = group
  group.filterPartitionsByNode = function (name, assigned) {
    const { nodeId, share } = readName(name)
    const shared = assigned.map(({ topic, partitions }) => ({
      topic,
      partitions: partitions.filter((partition) => shareOf(partition, partitions) === share),
    }))
    return filterPartitionsByNode.call(this, nodeId, shared)
  }
}

/** The first fetcher of a broker uses the broker's own connection, each of the others one of its own. */
function connectApart(pool: BrokerPool, broker: Broker): void {
  const { findBroker } = pool
  pool.findBroker = async function ({ nodeId: name }) {
    const { nodeId, share } = readName(name)
    const own = await findBroker.call(this, { nodeId })
    if (share === 0) return own
    const others = further.get(own) ?? new Map<number, Broker>()
    further.set(own, others)
    const found = others.get(share) ?? (await createFurther(this, own, nodeId))
    others.set(share, found)
    await this.connectBroker(found)
    return found
  }
  const { disconnect } = broker
  broker.disconnect = async function () {
    const others = [...(further.get(this)?.values() ?? [])]
    await Promise.all([disconnect.call(this), ...others.map((each) => each.disconnect())])
  }
}

async function createFurther(pool: BrokerPool, { connectionPool }: Broker, nodeId: string): Promise<Broker> {
  const built = await pool.connectionPoolBuilder.build(connectionPool)
  // kafkajs would open a second connection for what is no fetch.
  built.getConnectionByRequest = () => built.getConnection(0)
  const { rootLogger: logger, versions } = pool
  return pool.createBroker({ logger, versions, connectionPool: built, nodeId })
}

/** By its place among the member's partitions, and not by its number: of those a member may have only even ones. */
function shareOf(partition: number, assigned: readonly number[]): number {
  return assigned.filter((each) => each < partition).length % fetchersMax
}

function nameOf(nodeId: string, share: number): string {
  return share === 0 ? nodeId : `${nodeId}/${share}`
}

/** @param name kafkajs also has numbers of brokers */
function readName(name: string | number): { nodeId: string; share: number } {
  const [nodeId = '', share = '0'] = String(name).split('/')
  return { nodeId, share: Number(share) }
}
