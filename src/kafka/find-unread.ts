import { AssignerProtocol, type Kafka, type MemberDescription } from 'kafkajs'
import { readMemberMetadata } from './member-metadata.ts'
import { listPartitions, withAdmin } from './read-range.ts'

export type Unread = {
  readonly partitions: readonly number[]
  readonly members: readonly Member[]
}

/** A member of the group, and the partitions of the topic that it reads. */
type Member = {
  readonly memberId: string
  readonly clientId: string
  readonly clientHost: string
  readonly partitions: readonly number[]
}

/**
 * Finds the topic's partitions that no member of the group reads, from the coordinator's description of the
 * group. A partition that is assigned to a member that does not read the topic counts as unread: clients
 * silently ignore such a partition.
 *
 * @returns null while the group is about to assign its partitions
 */
export async function findUnread(kafka: Kafka, groupId: string, topic: string): Promise<Unread | null> {
  return withAdmin(kafka, async (admin) => {
    const { groups } = await admin.describeGroups([groupId])
    const group = groups.find((each) => each.groupId === groupId)
    if (group?.state !== 'Stable') return null
    const members = group.members.map((member) => describe(member, topic))
    const read = new Set(members.flatMap((member) => member.partitions))
    const partitions = await listPartitions(admin, topic)
    return { partitions: partitions.filter((partition) => !read.has(partition)), members }
  })
}

function describe(member: MemberDescription, topic: string): Member {
  const { memberId, clientId, clientHost } = member
  return { memberId, clientId, clientHost, partitions: listRead(member, topic) }
}

function listRead({ memberMetadata, memberAssignment }: MemberDescription, topic: string): number[] {
  if (!readMemberMetadata(memberMetadata).topics.includes(topic)) return []
  const assigned = AssignerProtocol.MemberAssignment.decode(memberAssignment)?.assignment[topic] ?? []
  return assigned.toSorted((one, other) => one - other)
}
