import type { FetchedBatch } from '../kafka/fetched-batch.ts'
import type { KafkaSession } from '../kafka/session.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { Assignment } from './assignment.ts'
import type { Committer } from './committer.ts'
import type { Partition } from './explain-stop.ts'
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
 * Stores one batch of a partition, slice by slice, and then says how far it came, which Kafka is told within a second. What is
 * stored is decided by PostgreSQL's next offset; Kafka's commit may fail, lag or be lost.
 *
 * @throws only what the session's heartbeat throws, so that it joins the group again; never for a record's content or the database
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
    if (tally.next > from) await end(options, batch, tally)
  }
}

/**
 * Nobody waits for Kafka's answer: the next batch would come that much later (9 of 19 ms from producer to log at 500 a second). Only
 * on leaving the group Kafka must be told before the session says farewell, which is when no batch is being handled any more.
 */
async function end(options: BatchOptions, batch: FetchedBatch, tally: Tally): Promise<void> {
  const { topic, partition, commit } = batch
  const told = options.committer.note(partition, tally.next, commit)
  options.assignment.follow(reportWhenTold(options.logger, { topic, partition }, tally, told))
  if (options.committer.isLeaving) await told
}

/** A function of its own, so that what waits for Kafka holds none of the batch's bytes. */
async function reportWhenTold(
  logger: Logger,
  of: Partition,
  tally: Tally,
  told: Promise<boolean>,
): Promise<void> {
  const ms = Math.round(performance.now() - tally.startedAt)
  report(logger, of, tally, await told, ms)
}

/** The offset from which the batch is to be stored; null if nothing of it is. */
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

/** Whether the batch may be held against the next offset: not before the last stored record was seen where it was stored from. */
function isProven(assignment: Assignment, place: Place, batch: FetchedBatch): boolean {
  const { proof, next } = place
  if (proof === null || next === null) return true
  const found = judgeProof(batch, proof, next, batch)
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

/** Whether the broker has the stored next offset. If not, the partition is stopped; if nobody can say now, it is held. */
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
