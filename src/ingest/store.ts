import type { Pool } from 'pg'
import { classifyFault } from '../log/server/fault.ts'
import { advanceIds } from '../log/write/advance-ids.ts'
import {
  ingest,
  type DecodedRecord,
  type IngestAnswer,
  type RecordResult,
  type Slice,
} from '../log/write/ingest.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { wait } from '../runtime/wait.ts'
import type { FreshLane } from './fresh-lane.ts'
import { halve } from './halve.ts'
import { recordId } from './read-identity.ts'

export type StoreOptions = {
  readonly database: Pool
  readonly lane: FreshLane
  readonly instance: string
  readonly leaseMs: number
  readonly logger: Logger
  readonly failpoint: (name: string) => void
}

export type StoreAnswer =
  | { kind: 'stored'; nextOffset: bigint; results: RecordResult[] }
  | { kind: 'ahead'; nextOffset: bigint }
  | { kind: 'stopped'; nextOffset: bigint; reason: string }
  | { kind: 'ended'; nextOffset: bigint }

// A race that was lost five times in a row is no race: the partition is held and tried again from the start.
const raceRetriesMax = 5
const raceDelayMs = 20

/**
 * Stores a slice, whatever is in it, and starts the first attempts that the fresh lane has room for. One record whose value
 * PostgreSQL refuses is found by halving and stored as rejected, so that it never stalls its partition. One that the log cannot
 * take, for a fault of its own, is found so too: the partition waits at it, and nothing of it is given up.
 *
 * @throws what pg throws if the database failed; what was stored by then stays stored, and is skipped the next time
 */
export async function store(options: StoreOptions, slice: Slice): Promise<StoreAnswer> {
  try {
    return await storeWhole(options, slice)
  } catch (error) {
    const fault = classifyFault(error)
    if (fault !== 'data' && fault !== 'broken') throw error
    if (fault === 'broken' && (await mendIds(options))) return await store(options, slice)
    const [only, ...more] = slice.records
    if (only === undefined) throw error
    if (more.length > 0) return await storeHalves(options, slice)
    if (fault === 'data') return await storeRefused(options, slice, only, error)
    throw new Error(`the log does not take the record at offset ${only.offset}: ${reasonOf(error)}`, {
      cause: error,
    })
  }
}

/** New ids may be those of others, after a logical upgrade or a restore beside the running service. Says whether they were. */
async function mendIds({ database, logger }: StoreOptions): Promise<boolean> {
  const advances = await advanceIds(database)
  for (const advance of advances) logger.warn(advance, 'new ids lay below those in the log: moved up')
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

/** The refused record becomes a rejected one: with its bytes, or without any of its own if those are what is refused. */
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
    // PostgreSQL's own message may quote the value, and this goes into logs.
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
      await wait(raceDelayMs * (retries + Math.random()), never)
    }
  }
}

const never = new AbortController().signal

async function storeOnce(options: StoreOptions, slice: Slice): Promise<StoreAnswer> {
  const reservation = await options.lane.reserve(slice.records.length)
  let answer: IngestAnswer
  try {
    options.failpoint('ingest.before_commit')
    answer = await ingest(
      options.database,
      slice,
      `${options.instance}/ingest`,
      `${options.instance}/fresh`,
      reservation.room,
      options.leaseMs,
    )
    options.failpoint('ingest.after_commit')
  } catch (error) {
    // PostgreSQL's refusal means that nothing was committed; with the connection gone nobody knows.
    if (classifyFault(error) === 'lost' && reservation.room > 0) reservation.doubt()
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
