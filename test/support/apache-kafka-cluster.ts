import { Kafka, logLevel, type Admin } from 'kafkajs'
import type { Test } from 'tap'
import { startApacheKafka, type ApacheKafka } from './apache-kafka.ts'
import { findFreePort } from './free-port.ts'
import { until } from './until.ts'

export type ClusterNode = ApacheKafka & { readonly nodeId: number }

export interface ApacheKafkaCluster {
  readonly nodes: readonly ClusterNode[]
  /** Of all nodes. */
  readonly brokers: string[]
  /** The node that leads a partition; all nodes must be well. */
  findLeader: (topic: string, partition: number) => Promise<ClusterNode>
  /** The node that coordinates the consumer groups, which is the same for all of them; all nodes must be well. */
  findCoordinator: () => Promise<ClusterNode>
  /** Waits until all nodes are back, and the topic's partitions and the groups' offsets have all of their replicas. */
  isWhole: (topic: string) => Promise<void>
}

const nodeIds = [1, 2, 3]
const offsetsTopic = '__consumer_offsets'

/**
 * Starts a real Apache Kafka of three nodes, each of them broker and controller, as processes of the test's own, and ends them
 * with it. Two of them are a quorum: one at a time may be killed, frozen and started again.
 *
 * @param properties more lines of server.properties for each node, such as the replicas that a write must reach
 */
export async function startApacheKafkaCluster(
  t: Pick<Test, 'teardown'>,
  properties: Record<string, string> = {},
): Promise<ApacheKafkaCluster> {
  const controllerPorts = new Map<number, number>()
  for (const nodeId of nodeIds) controllerPorts.set(nodeId, await findFreePort())
  const nodes = await Promise.all(
    nodeIds.map(async (nodeId) => {
      const options = {
        member: { nodeId, controllerPorts },
        heapMegabytes: 256,
        properties: { ...clusterProperties, ...properties },
      }
      return Object.assign(await startApacheKafka(t, options), { nodeId })
    }),
  )
  const brokers = nodes.flatMap((node) => node.brokers)
  const findLeader = (topic: string, partition: number): Promise<ClusterNode> =>
    withAdmin(brokers, async (admin) => {
      const found = (await describe(admin, topic)).find((each) => each.partitionId === partition)
      const leader = nodes.find(({ nodeId }) => nodeId === found?.leader)
      if (leader === undefined) throw new Error(`partition ${partition} of ${topic} has no leader`)
      return leader
    })
  return {
    nodes,
    brokers,
    findLeader,
    findCoordinator: async () => {
      // The first who looks for it has its topic made.
      await until('a coordinator', () =>
        withAdmin(brokers, async (admin) => (await admin.describeGroups(['nobody'])).groups.length === 1),
      )
      return findLeader(offsetsTopic, 0)
    },
    isWhole: (topic) =>
      until('the cluster to be whole', () =>
        withAdmin(brokers, async (admin) => {
          const { brokers: known } = await admin.describeCluster()
          const partitions = [...(await describe(admin, topic)), ...(await describe(admin, offsetsTopic))]
          const isComplete = partitions.every(({ isr, replicas }) => isr.length === replicas.length)
          return known.length === nodes.length && isComplete
        }),
      ),
  }
}

const clusterProperties = {
  // Their one partition's leader coordinates all groups.
  'offsets.topic.num.partitions': '1',
  'offsets.topic.replication.factor': '3',
  // A topic's leaders are those that it was made with, but for what a test does to them.
  'auto.leader.rebalance.enable': 'false',
}

async function describe(admin: Admin, topic: string) {
  const { topics } = await admin.fetchTopicMetadata({ topics: [topic] })
  return topics[0]?.partitions ?? []
}

async function withAdmin<Answer>(brokers: string[], ask: (admin: Admin) => Promise<Answer>): Promise<Answer> {
  const admin = new Kafka({ brokers, logLevel: logLevel.NOTHING }).admin()
  try {
    await admin.connect()
    return await ask(admin)
  } finally {
    await admin.disconnect()
  }
}
