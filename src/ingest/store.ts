import { setTimeout as sleep } from 'node:timers/promises'
import type { Pool } from 'pg'
import { classifyFault } from '../log/server/fault.ts'
import { advanceIds } from '../log/write/advance-ids.ts'
import { ingest, type DecodedRecord, type IngestAnswer, type Slice } from '../log/write/ingest.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { FreshLane } from './fresh-lane.ts'
import { halve } from './halve.ts'
import { recordId } from './read-identity.ts'

export type StoreOptions = {
  readonly database: Pool
  readonly lane: FreshLane
  readonly instance: string
  readonly leaseMs: number
  readonly logger: Logger
  readonly failpoint: Failpoint
}

/** What `ingest` answered, without the claims: the lane has them. */
export type StoreAnswer = Exclude<IngestAnswer, Stored> | Omit<Stored, 'claims'>
type Stored = Extract<IngestAnswer, { kind: 'stored' }>

// Losing a race five times in a row is not chance: the partition is held and tried again from the start.
const raceRetriesMax = 5
const raceDelayMs = 20

/**
 * Stores a slice with any content, and starts the first attempts that the fresh lane has room for. If
 * PostgreSQL refuses the value of a record, the record is found by halving the slice and stored as rejected,
 * so that it never stalls its partition. If the log cannot take a record because the log itself is at fault,
 * the record is found in the same way: the partition waits there, and nothing is given up.
 *
 * @throws what pg throws if the database failed; what was stored until then stays stored, and is skipped the
 *   next time
 */
export async function store(options: StoreOptions, slice: Slice): Promise<StoreAnswer> {
  try {
    return await storeWhole(options, slice)
  } catch (error) {
    const fault = classifyFault(error)
    if (fault !== 'data' && fault !== 'broken') throw error
    if (fault === 'broken' && (await repairIds(options))) return await store(options, slice)
    const [only, ...more] = slice.records
    if (only === undefined) throw error
    if (more.length > 0) return await storeHalves(options, slice)
    if (fault === 'data') return await storeRefused(options, slice, only, error)
    throw new Error(`the log does not take the record at offset ${only.offset}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

/**
 * After a logical upgrade, or a restore beside the running service, the next new ids may already be in use.
 * Moves them up, and returns whether that was needed.
 */
async function repairIds({ database, logger }: StoreOptions): Promise<boolean> {
  const advances = await advanceIds(database)
  for (const advance of advances) logger.warn(advance, 'next ids were below ids in the log: raised')
  return advances.length > 0
}

async function storeHalves(options: StoreOptions, slice: Slice): Promise<StoreAnswer> {
  const [first, second] = halve(slice)
  const one = await store(options, first)
  if (one.kind !== 'stored') return one
  const other = await store(options, second)
  if (other.kind !== 'stored') return other
  return { ...other, results: [...one.results, ...other.results] }
}

/** Stores the refused record as rejected: with its bytes, or without them if PostgreSQL refuses those too. */
async function storeRefused(
  options: StoreOptions,
  slice: Slice,
  record: DecodedRecord,
  refusal: unknown,
): Promise<StoreAnswer> {
  const withBytes = reject(slice, record, refusal)
  options.logger.error(
    {
      topic: slice.topic,
      partition: slice.partition,
      offset: Number(record.offset),
      reason: withBytes.rejection,
    },
    'record refused by PostgreSQL',
  )
  try {
    return await storeWhole(options, { ...slice, records: [withBytes] })
  } catch (error) {
    if (classifyFault(error) !== 'data') throw error
    return await storeWhole(options, { ...slice, records: [withoutBytes(withBytes)] })
  }
}

function reject(slice: Slice, record: DecodedRecord, refusal: unknown): DecodedRecord {
  return {
    ...record,
    isJson: false,
    transactionId: recordId(slice.topic, slice.partition, slice.incarnation, record.offset),
    // PostgreSQL's own message may quote the value, and this sentence goes into logs.
    rejection: `PostgreSQL refused the record (SQLSTATE ${readSqlState(refusal)}).`,
  }
}

function withoutBytes(record: DecodedRecord): DecodedRecord {
  return {
    ...record,
    payload: null,
    payloadState: 'absent',
    key: null,
    headers: null,
    traceparent: null,
    timestampMs: null,
  }
}

function readSqlState(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : 'unknown'
}

async function storeWhole(options: StoreOptions, slice: Slice): Promise<StoreAnswer> {
  for (let retries = 0; ; retries++) {
    try {
      return await storeOnce(options, slice)
    } catch (error) {
      if (classifyFault(error) !== 'transient' || retries === raceRetriesMax) throw error
      await sleep(raceDelayMs * (retries + Math.random()))
    }
  }
}

async function storeOnce(options: StoreOptions, slice: Slice): Promise<StoreAnswer> {
  const reservation = await options.lane.reserve(slice.records.length)
  let answer: IngestAnswer
  try {
    options.failpoint('ingest.before_commit')
    answer = await ingest(options.database, slice, {
      actor: `${options.instance}/ingest`,
      lane: `${options.instance}/fresh`,
      room: reservation.room,
      leaseMs: options.leaseMs,
    })
    options.failpoint('ingest.after_commit')
  } catch (error) {
    // If PostgreSQL refused, nothing was committed. If the connection was lost, nobody knows.
    if (classifyFault(error) === 'lost' && reservation.room > 0) reservation.loseAnswer()
    else reservation.release()
    throw error
  }
  if (answer.kind !== 'stored') {
    reservation.release()
    return answer
  }
  reservation.start(answer.claims)
  return { kind: 'stored', nextOffset: answer.nextOffset, results: answer.results }
}
