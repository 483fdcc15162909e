import type { FetchedBatch } from '../kafka/fetched-batch.ts'
import type { KafkaSession } from '../kafka/session.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { Assignment } from './assignment.ts'
import type { Committer } from './committer.ts'
import type { Partition } from './stop-fault.ts'
import { judgePosition, judgeRange } from './judge-position.ts'
import { judgeProof } from './judge-proof.ts'
import type { Place } from './place.ts'
import { report, startTally, type Tally } from './report.ts'
import { storeSlices, type SliceOptions } from './store-slices.ts'

export type BatchOptions = SliceOptions & {
  readonly session: Pick<KafkaSession, 'readRange'>
  readonly committer: Committer
}

/**
 * Stores one batch of a partition, slice by slice, and then passes on how far it came; Kafka is told within a
 * second. PostgreSQL's next offset decides what is stored; Kafka's commit may fail, be late or be lost.
 *
 * @throws only what the session's heartbeat throws, so that the member joins the group again; a record's
 *   content or the database never makes it throw
 */
export async function handleBatch(options: BatchOptions, batch: FetchedBatch): Promise<void> {
  const place = options.assignment.find(batch.partition)
  if (place === null || !batch.isWanted()) return
  if (!isProven(options.assignment, place, batch)) return
  const from = await findStart(options, place, batch)
  if (from === null) return
  const tally = startTally(from)
  try {
    await storeSlices(options, batch, place, tally)
  } finally {
    if (tally.next > from) await end(options, batch, place, tally)
  }
}

/**
 * Does not wait for Kafka's answer: the next batch would be later by that time (9 of 19 ms from producer to
 * log at 500 a second). Only when this member leaves the group must Kafka be told first: the session leaves
 * when no batch is being handled any more.
 */
async function end(
  options: BatchOptions,
  batch: FetchedBatch,
  { begins }: Place,
  tally: Tally,
): Promise<void> {
  const { topic, partition, commit } = batch
  const committed = options.committer.note(partition, tally.next, commit, begins)
  options.assignment.follow(reportWhenCommitted(options.logger, { topic, partition }, tally, committed))
  if (options.committer.isLeaving) await committed
}

/** A separate function, so that the wait for Kafka does not keep the batch's bytes in memory. */
async function reportWhenCommitted(
  logger: Logger,
  of: Partition,
  tally: Tally,
  committed: Promise<boolean>,
): Promise<void> {
  const ms = Math.round(performance.now() - tally.startedAt)
  report(logger, of, tally, await committed, ms)
}

/** The offset from which to store the batch; null if nothing of it is to be stored. */
async function findStart(options: BatchOptions, place: Place, batch: FetchedBatch): Promise<bigint | null> {
  const { assignment } = options
  const judgement = judgePosition(place.next, place.sought, batch)
  if (judgement.then === 'take') return judgement.from
  if (judgement.then === 'ask' && place.next !== null) {
    const isInRange = await askRange(options, place, place.next, batch)
    if (!isInRange) return null
    if (batch.first >= place.next) return place.next
  }
  assignment.sendBack(place)
  return null
}

/**
 * Whether the batch may be compared with the next offset. It may not while the last stored record is still to
 * be checked: the batch must first show that record at its offset.
 */
function isProven(assignment: Assignment, place: Place, batch: FetchedBatch): boolean {
  const { proof, next } = place
  if (proof === null || next === null) return true
  const found = judgeProof(batch, proof, next)
  switch (found.kind) {
    case 'proven':
    case 'absent':
      assignment.noteProven(place)
      return true
    case 'below':
      assignment.sendBack(place)
      return false
    case 'replaced':
      assignment.stop(place, next, found.fault)
      return false
  }
}

/**
 * Whether the stored next offset is in the broker's range. If it is not, the partition is stopped. If the
 * range cannot be read now, the partition is held.
 */
async function askRange(
  { assignment, session }: BatchOptions,
  place: Place,
  stored: bigint,
  batch: FetchedBatch,
): Promise<boolean> {
  try {
    const fault = judgeRange(batch, stored, await session.readRange(batch.partition))
    if (fault !== null) assignment.stop(place, stored, fault)
    return fault === null
  } catch (error) {
    assignment.hold(place, `The broker's range could not be read: ${reasonOf(error)}`)
    return false
  }
}
