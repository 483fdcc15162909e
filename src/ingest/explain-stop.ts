import type { Undecodable } from '../kafka/answer/replace-decoder.ts'
import type { BrokerRange } from '../kafka/read-range.ts'

/** Why a partition must not be read on, for an operator. */
export type Fault = {
  /** What happened, what it means, and the command that decides. */
  reason: string
  /** Where the partition would go on without what is gone; null if giving something up would mend nothing. */
  resume: bigint | null
}

export type Partition = { topic: string; partition: number }

/** The broker's first offset lies above the next one. */
export function explainDeleted(of: Partition, next: bigint, { low }: BrokerRange): Fault {
  return {
    reason:
      `The next offset is ${next}, but the broker's first is ${low}: records were deleted before they were stored, ` +
      `and ${nameOffsets(next, low)} can be had from Kafka no more; to give them up and go on at the broker's first, ` +
      `run ${command(of, '--accept-gap')}.`,
    resume: low,
  }
}

/** The broker ends below the next offset. */
export function explainShortened(of: Partition, next: bigint, { high }: BrokerRange): Fault {
  return {
    reason:
      `The next offset is ${next}, but the broker ends at ${high}: the topic was created anew or lost its end, so records ` +
      `below ${next} may be others than those stored; to read it from its first offset (what is known already is recorded as a ` +
      `duplicate and not sent again), run ${command(of, '--new-incarnation')}.`,
    resume: null,
  }
}

/** The broker has another record where the last one was stored from. */
export function explainReplaced(of: Partition, offset: bigint, next: bigint): Fault {
  return {
    reason:
      `The record at offset ${offset} is not the one that was stored from there: the topic was created anew or lost its end, ` +
      `and has been filled again past it, so records below the next offset ${next} were never read; to read it from its first ` +
      `offset (what is known already is recorded as a duplicate and not sent again), run ${command(of, '--new-incarnation')}.`,
    resume: null,
  }
}

/** A record batch is there and cannot be read. */
export function explainUndecodable({ topic, partition, first, next, reason }: Undecodable): Fault {
  const of = { topic, partition }
  return {
    reason:
      `The record batch at ${nameOffsets(first, next)} cannot be decoded (${reason.replace(/\.$/, '')}), so its records are not ` +
      `stored; once a release or its settings can read it, run ${command(of, '--retry')}, or to give them up and go on ` +
      `behind it, ${command(of, '--accept-gap')}.`,
    resume: next,
  }
}

/** The broker cannot read its own log there. */
export function explainCorrupt(of: Partition, next: bigint, error: string): Fault {
  return {
    reason:
      `The broker cannot read its own log at offset ${next} (${error}): its disk or a file of the partition is damaged, and ` +
      `nothing from there on can be had; once the file is mended or another replica leads, run ${command(of, '--retry')}, or ` +
      `delete what is damaged in Kafka (kafka-delete-records.sh) and give it up by ${command(of, '--accept-gap')}.`,
    resume: null,
  }
}

/** Kafka knows no such topic. It is not made by whoever reads it: a misspelt name would look like a topic without payments. */
export function explainMissing(topic: string): string {
  return `Kafka has no topic ${topic}: correct KAFKA_TOPIC, or create the topic; this service never does.`
}

function nameOffsets(from: bigint, next: bigint): string {
  return next - from === 1n ? `offset ${from}` : `offsets ${from} to ${next - 1n}`
}

function command({ topic, partition }: Partition, word: string): string {
  return `\`npm run partition -- --topic ${topic} --partition ${partition} ${word} --reason WHY\``
}
