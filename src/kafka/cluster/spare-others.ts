import { createRequire } from 'node:module'
import { reasonOf } from '../../runtime/reason-of.ts'
import { wait } from '../../runtime/wait.ts'
import { late, within } from '../../runtime/within.ts'
import { isUnreachable } from './is-unreachable.ts'
import { leaveInHand } from './leave-in-hand.ts'
import { shuffle } from './shuffle.ts'
import { noteCuts, type WatchedGroup } from './watch-cuts.ts'

type TopicPartitions = { topic: string; partitions: { partition: number }[] }
type TopicOffsets = { topic: string; partitions: { partition: number; offset: string }[] }
type Broker = { isConnected(): boolean }
type Ask = (found: { nodeId: string; broker: Broker }) => Promise<unknown>
type BrokerPool = {
  brokers: Record<string, Broker>
  findBroker(node: { nodeId: string }): Promise<Broker>
  withBroker: (this: BrokerPool, ask: Ask) => Promise<unknown>
}
type Cluster = {
  targetTopics: ReadonlySet<string>
  brokerPool: { metadata: { topicMetadata: { topic: string }[] } | null; metadataExpireAt: number | null }
  getNodeIds(): string[]
  refreshMetadata(): Promise<void>
  refreshMetadataIfNecessary: (this: Cluster) => Promise<void>
  findTopicPartitionMetadata(topic: string): { partitionId: number; leader: number }[]
  fetchTopicsOffset: (this: Cluster, topics: TopicPartitions[]) => Promise<TopicOffsets[]>
}
type ConsumerGroup = WatchedGroup & {
  cluster: Cluster
  topicsSubscribed: string[]
  getNodeIds(): string[]
  fetch: (this: ConsumerGroup, nodeId: string) => Promise<{ topic: string; partition: number }[]>
  recoverFromFetch: (this: ConsumerGroup, error: Error) => Promise<void>
}
type Refresh = { ended: Promise<{ error: unknown } | null>; isLate: boolean }
type Errors = { KafkaJSNoBrokerAvailableError: new () => Error }

// The wait before an unreachable broker is asked again.
const retryMs = 500
// After this time fetches no longer wait to be told who leads.
const patienceMs = 500

const staleTopics = new Set<string>()
const refreshes = new WeakMap<Cluster, Refresh>()
const never = new AbortController().signal
let isInstalled = false

/**
 * Limits the damage when a broker is unreachable or no longer leads a partition: only that broker's
 * partitions wait. Unchanged, kafkajs 2.2.4 ends the fetches from all brokers when one fails, and joins the
 * group again or gives up. All fetches wait while it asks any one broker who leads, and that may be the one
 * that hangs. It learns where partitions begin from all of their leaders or from none. And it asks only one
 * broker, or none, who coordinates the group. Depends on the exact pin, and applies to the whole process.
 */
export function spareOthers(): void {
  if (isInstalled) return
  isInstalled = true
  const load = createRequire(import.meta.url)
  const { prototype: group } = load('kafkajs/src/consumer/consumerGroup.js') as { prototype: ConsumerGroup }
  const { prototype: cluster } = load('kafkajs/src/cluster/index.js') as { prototype: Cluster }
  const { prototype: pool } = load('kafkajs/src/cluster/brokerPool.js') as { prototype: BrokerPool }
  const { KafkaJSNoBrokerAvailableError } = load('kafkajs/src/errors.js') as Errors

  const { fetch, recoverFromFetch } = group
  group.fetch = async function (nodeId) {
    const batches = await leaveInHand(noteCuts(this, nodeId), nodeId, (group) => fetch.call(group, nodeId))
    // Makes the next fetch, from any broker, first ask again who leads.
    for (const topic of this.topicsSubscribed)
      if (staleTopics.delete(topic)) this.cluster.brokerPool.metadataExpireAt = null
    return batches
  }
  group.recoverFromFetch = async function (error) {
    if (!isUnreachable(error)) return recoverFromFetch.call(this, error)
    const failure = await refreshMetadata(this.cluster)
    // This error makes kafkajs give up at once.
    if (failure !== null) throw Object.assign(new KafkaJSNoBrokerAvailableError(), { message: failure })
    await wait(retryMs, never)
  }
  const { withBroker } = pool
  pool.withBroker = function (ask) {
    // Without known brokers, kafkajs' own error makes it ask for the brokers first.
    return Object.keys(this.brokers).length === 0 ? withBroker.call(this, ask) : askAny(this, ask)
  }
  const { refreshMetadataIfNecessary } = cluster
  cluster.refreshMetadataIfNecessary = function () {
    const refresh = refreshMetadataIfNecessary.bind(this)
    return knowsLeaders(this) ? refreshSoon(this, refresh) : refresh()
  }
  const { fetchTopicsOffset } = cluster
  cluster.fetchTopicsOffset = function (topics) {
    return askEachLeader(this, topics, (part) => fetchTopicsOffset.call(this, [part]))
  }
}

/** Notes that the known leaders of the topic's partitions are wrong. */
export function noteStaleLeaders(topic: string): void {
  staleTopics.add(topic)
}

function knowsLeaders({ targetTopics, brokerPool: { metadata } }: Cluster): boolean {
  const isKnown = (topic: string): boolean =>
    metadata?.topicMetadata.some((each) => each.topic === topic) === true
  return metadata !== null && [...targetTopics].every(isKnown)
}

/** Waits a moment for the leaders to be told. A fetch then goes on with those that it knows. */
async function refreshSoon(cluster: Cluster, ask: () => Promise<void>): Promise<void> {
  const refresh = refreshes.get(cluster) ?? startRefresh(cluster, ask)
  if (refresh.isLate) return
  const outcome = await within(refresh.ended, patienceMs)
  if (outcome === late) refresh.isLate = true
  else if (outcome !== null) throw outcome.error
}

function startRefresh(cluster: Cluster, ask: () => Promise<void>): Refresh {
  const ended = ask()
    .then(
      () => null,
      (error: unknown) => ({ error }),
    )
    .finally(() => refreshes.delete(cluster))
  const refresh = { ended, isLate: false }
  refreshes.set(cluster, refresh)
  return refresh
}

/** Asks one broker after another until one answers. Connected brokers are asked first. */
async function askAny(pool: BrokerPool, ask: Ask): Promise<unknown> {
  const connected = (nodeId: string): number => Number(pool.brokers[nodeId]?.isConnected() ?? false)
  const nodeIds = shuffle(Object.keys(pool.brokers))
  let failure: unknown
  for (const nodeId of nodeIds.sort((one, other) => connected(other) - connected(one)))
    try {
      return await ask({ nodeId, broker: await pool.findBroker({ nodeId }) })
    } catch (error) {
      failure = error
    }
  if (isUnreachable(failure)) throw failure
  // kafkajs' own function returns null too, and its callers handle it.
  return null
}

/**
 * Returns the answers of the leaders that can be reached. kafkajs asks again for a partition without an
 * answer.
 */
async function askEachLeader(
  cluster: Cluster,
  topics: TopicPartitions[],
  ask: (part: TopicPartitions) => Promise<TopicOffsets[]>,
): Promise<TopicOffsets[]> {
  const parts = topics.flatMap((topic) => splitByLeader(cluster, topic))
  const answers = await Promise.allSettled(parts.map(ask))
  const failed = answers.find((answer) => answer.status === 'rejected')
  if (failed !== undefined) for (const { topic } of topics) noteStaleLeaders(topic)
  const found = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []))
  if (failed !== undefined && found.length === 0) throw failed.reason
  return topics.map(({ topic }) => ({
    topic,
    partitions: found.flatMap((each) => (each.topic === topic ? each.partitions : [])),
  }))
}

/** Asks one broker after another, each at most once. Returns null, or why no broker could be asked. */
async function refreshMetadata(cluster: Cluster): Promise<string | null> {
  let failure = 'There is no broker'
  for (let left = cluster.getNodeIds().length; left > 0; left--)
    try {
      await cluster.refreshMetadata()
      return null
    } catch (error) {
      if (!isUnreachable(error)) throw error
      failure = reasonOf(error)
    }
  return failure
}

/** Groups the partitions by leader. A partition without a leader is left out. */
function splitByLeader(cluster: Cluster, asked: TopicPartitions): TopicPartitions[] {
  const leaders = new Map(
    cluster.findTopicPartitionMetadata(asked.topic).map(({ partitionId, leader }) => [partitionId, leader]),
  )
  const parts = new Map<number, TopicPartitions>()
  for (const each of asked.partitions) {
    const leader = leaders.get(each.partition) ?? -1
    if (leader < 0) continue
    const part = parts.get(leader) ?? { ...asked, partitions: [] }
    part.partitions.push(each)
    parts.set(leader, part)
  }
  return [...parts.values()]
}
