import { AssignerProtocol } from 'kafkajs'

/** Of each topic. */
export type Partitions = ReadonlyMap<string, readonly number[]>

/** What a member of the group says of itself when it joins. */
export type MemberMetadata = {
  readonly topics: readonly string[]
  /** Of its topics, as far as it says; other clients say nothing. */
  readonly partitions: Partitions
}

/** Of Kafka's consumer protocol. */
export const protocolVersion = 0

/** The partitions stand where Kafka's protocol has room for what an assigner wants to be told, and other clients do not look. */
export function writeMemberMetadata(partitions: Partitions): Buffer {
  const userData = Buffer.from(JSON.stringify({ partitions: Object.fromEntries(partitions) }))
  return AssignerProtocol.MemberMetadata.encode({
    version: protocolVersion,
    topics: [...partitions.keys()],
    userData,
  })
}

/** A member that says it in a form of its own reads nothing that we know of. */
export function readMemberMetadata(metadata: Buffer): MemberMetadata {
  try {
    const found = AssignerProtocol.MemberMetadata.decode(metadata)
    return { topics: found?.topics ?? [], partitions: readPartitions(found?.userData) }
  } catch {
    return { topics: [], partitions: new Map() }
  }
}

function readPartitions(userData: Buffer | null | undefined): Partitions {
  try {
    const told = JSON.parse(String(userData)) as { partitions: Record<string, number[]> }
    return new Map(Object.entries(told.partitions).map(([topic, ids]) => [topic, ids.filter(isPartition)]))
  } catch {
    // Another program's, or none.
    return new Map()
  }
}

function isPartition(id: unknown): boolean {
  return Number.isInteger(id) && Number(id) >= 0
}
