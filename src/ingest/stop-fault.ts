import type { Begun } from '../kafka/read-begun.ts'
import type { Undecodable } from '../kafka/answer/replace-decoder.ts'
import type { BrokerRange } from '../kafka/read-range.ts'

/** Why a partition must be stopped, for an operator. */
export type StopFault = {
  /** What happened, what it means, and the commands that resolve it. */
  reason: string
  /**
   * The offset at which the partition continues if the missing records are given up; null if giving up
   * records does not help.
   */
  resume: bigint | null
}

export type Partition = { topic: string; partition: number }

/** The broker's first offset is above the next offset. */
export function explainDeleted(of: Partition, next: bigint, { low }: BrokerRange): StopFault {
  return {
    reason:
      `The next offset is ${next}, but the broker's first offset is ${low}: records were deleted before they were stored, ` +
      `and Kafka no longer has ${nameOffsets(next, low)}. To give them up and continue at the broker's first offset, ` +
      `run ${command(of, '--accept-gap')}.`,
    resume: low,
  }
}

/** The broker's end is below the next offset. */
export function explainShortened(of: Partition, next: bigint, { high }: BrokerRange): StopFault {
  return {
    reason:
      `The next offset is ${next}, but the broker ends at ${high}: the topic was created again or lost its end, so the records ` +
      `below ${next} may not be the ones that were stored. To read it from its first offset (a transaction that is ` +
      `already known is recorded as a duplicate and not sent again), run ${command(of, '--new-incarnation')}.`,
    resume: null,
  }
}

/** The log has nothing of a partition that this service has stored. */
export function explainForgotten(of: Partition, { begins, next }: Begun): StopFault {
  return {
    reason:
      `The log has nothing of this partition, but ${nameOffsets(begins.offset, next)} were stored in it, as this service has told Kafka: a ` +
      `failover lost them, or the database was put back to a copy from before. To read the partition from its first offset, so that what the log does not ` +
      `know is sent again under the same keys, run ${command(of, '--new-incarnation')}. To give these records up and continue at offset ` +
      `${next}, run ${command(of, '--accept-gap')}.`,
    resume: next,
  }
}

/** The broker has another record at the offset of the last stored one. */
export function explainReplaced(of: Partition, offset: bigint, next: bigint): StopFault {
  return {
    reason:
      `The record at offset ${offset} is not the one that was stored from there: the topic was created again or lost its end, ` +
      `and was then filled past this offset, so there are records below the next offset ${next} that were never read. To ` +
      `read it from its first offset (a transaction that is already known is recorded as a duplicate and not sent again), ` +
      `run ${command(of, '--new-incarnation')}.`,
    resume: null,
  }
}

/** The broker has a record batch that this service cannot decode. */
export function explainUndecodable({ topic, partition, first, next, reason }: Undecodable): StopFault {
  const of = { topic, partition }
  return {
    reason:
      `The record batch at ${nameOffsets(first, next)} cannot be decoded (${reason.replace(/\.$/, '')}), so its records are not ` +
      `stored. Once a newer release or other settings can decode it, run ${command(of, '--retry')}. To give the records up ` +
      `and continue after the batch, run ${command(of, '--accept-gap')}.`,
    resume: next,
  }
}

/** The broker cannot read its own log at the next offset. */
export function explainCorrupt(of: Partition, next: bigint, error: string): StopFault {
  return {
    reason:
      `The broker cannot read its own log at offset ${next} (${error}): its disk or a file of the partition is damaged, and ` +
      `nothing from there on can be read. Once the file is repaired or another replica leads, run ` +
      `${command(of, '--retry')}. To give the damaged records up, delete them in Kafka (kafka-delete-records.sh) and run ` +
      `${command(of, '--accept-gap')}.`,
    resume: null,
  }
}

/**
 * Kafka has no such topic. The service does not create it: a misspelt name would then look like a topic
 * without payments.
 */
export function explainMissing(topic: string): string {
  return `Kafka has no topic ${topic}: correct KAFKA_TOPIC, or create the topic. This service never creates topics.`
}

function nameOffsets(first: bigint, next: bigint): string {
  return next - first === 1n ? `offset ${first}` : `offsets ${first} to ${next - 1n}`
}

function command({ topic, partition }: Partition, flag: string): string {
  return `\`npm run partition -- --topic ${topic} --partition ${partition} ${flag} --reason WHY\``
}
