import { AssignerProtocol, type Cluster, type PartitionAssigner } from 'kafkajs'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { late, within } from '../runtime/within.ts'
import { dealPartitions } from './deal-partitions.ts'
import {
  protocolVersion as version,
  readMemberMetadata,
  writeMemberMetadata,
  type MemberMetadata,
} from './member-metadata.ts'

// kafkajs' own name for it: members of an older release, and any other kafkajs consumer, can be in the same
// group.
const name = 'RoundRobinAssigner'
// The other members wait for the leader's assignment meanwhile, and give up after 15 s.
const askMsMax = 5_000

/** Asks the broker which partitions a topic has. */
export type AskPartitions = (topic: string) => Promise<number[]>

/**
 * Makes the leader assign each partition to a member that reads its topic. kafkajs' own assigner assigns only
 * the leader's topics, and to any member of the group. With two topics in one group, nobody reads the other
 * topic, and some partitions of the first topic go to members that do not read it.
 *
 * Each member tells which partitions its topics have, so the leader needs no right to read another member's
 * topic. If the readers of a topic do not tell, the leader asks the broker. If the broker does not answer,
 * the topic is not assigned before the next join.
 */
export function assignPartitions(askPartitions: AskPartitions, logger: Logger): PartitionAssigner {
  return ({ cluster }) => ({
    name,
    version,
    protocol: ({ topics }) => ({
      name,
      metadata: writeMemberMetadata(new Map(topics.map((topic) => [topic, list(cluster, topic)]))),
    }),
    assign: async ({ members, topics }) => {
      const readers = members.map(({ memberId, memberMetadata }) => ({
        memberId,
        ...readMemberMetadata(memberMetadata),
      }))
      // kafkajs has just asked the broker about the leader's own topics.
      const find = (topic: string): number[] =>
        topics.includes(topic) ? list(cluster, topic) : listReported(readers, topic)
      const wanted = [...new Set(readers.flatMap((reader) => reader.topics))]
      const found = await Promise.all(
        wanted.map(async (topic) => {
          const known = find(topic)
          return [topic, known.length > 0 ? known : await ask(topic, askPartitions, logger)] as const
        }),
      )
      return [...dealPartitions(readers, new Map(found))].map(([memberId, partitions]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({
          version,
          assignment: Object.fromEntries(partitions),
          userData: Buffer.alloc(0),
        }),
      }))
    },
  })
}

function list(cluster: Cluster, topic: string): number[] {
  return sort(cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId))
}

/** The partitions of the topic, as its readers reported them. */
function listReported(readers: readonly MemberMetadata[], topic: string): number[] {
  return sort(new Set(readers.flatMap(({ partitions }) => partitions.get(topic) ?? [])))
}

async function ask(topic: string, askPartitions: AskPartitions, logger: Logger): Promise<number[]> {
  try {
    const found = await within(askPartitions(topic), askMsMax)
    if (found === late) throw new Error(`no answer in ${askMsMax} ms`)
    return sort(found)
  } catch (error) {
    logger.warn({ topic, reason: reasonOf(error) }, "another member's topic not dealt")
    return []
  }
}

function sort(ids: Iterable<number>): number[] {
  return [...ids].sort((one, other) => one - other)
}
