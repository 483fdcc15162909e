import { isDeepStrictEqual } from 'node:util'
import { mkdir, stat } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import pg from 'pg'
import {
  countSegment,
  sumSegment,
  type SegmentCounts,
  type SegmentSums,
} from '../log/archive/count-segment.ts'
import {
  moveFence,
  dropSegment,
  nameHolders,
  readFence,
  type ArchiveRow,
  type Fence,
} from '../log/archive/drop-segment.ts'
import { forgetPositions } from '../log/archive/forget-positions.ts'
import { listSegments, type Segment, type SegmentStanding } from '../log/archive/list-segments.ts'
import { readLines } from '../log/archive/read-lines.ts'
import { lockArchiving, readIdentity, type LogIdentity } from '../log/archive/session.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import {
  ArchiveFault,
  checkFolder,
  exists,
  files,
  nameArchive,
  syncArchive,
  syncPath,
  type Manifest,
} from './archive-folder.ts'
import { compareLines } from './compare-lines.ts'
import { explainMemory, findMemory } from './find-memory.ts'
import { writeArchive } from './write-archive.ts'

// How long all others may wait behind a try to get the lock. It is below deadlock_timeout (1 s by default).
const lockTimeoutMs = 200
// A look at the log holds its tables for milliseconds, the checker or a dump for minutes.
const retryAfterMs = 1_000

export type ArchiveRequest = {
  /** Only segments whose last event is older are archived. */
  readonly before: Date
  /** The folder that archives are put into, which is there. */
  readonly directory: string
  readonly actor: string
  readonly reason: string
  readonly failpoint: Failpoint
  /** How long to wait for a transaction that is in the way of dropping a segment. */
  readonly waitMs: number
}

export type Step =
  /** Nothing was done. */
  | ({ readonly kind: 'kept'; readonly segment: Segment } & Kept)
  /** The segment can be archived. */
  | { readonly kind: 'ready'; readonly segment: Segment }
  | {
      readonly kind: 'archived'
      readonly segment: Segment
      readonly counts: SegmentCounts
      readonly path: string
    }
  /** The segment is in the database still, because the archive that is there cannot be used; `why` is one sentence or more. */
  | { readonly kind: 'refused'; readonly segment: Segment; readonly why: string }
  /** The archive is whole, but the segment is in the database still; `why` is a sentence. */
  | { readonly kind: 'unfinished'; readonly segment: Segment; readonly path: string; readonly why: string }

/**
 * Why a segment stays: new messages get its ids (`needed`), its last event is not old enough (`young`), or it is old and has messages
 * that are not terminal (`open`).
 */
type Kept = { readonly because: 'needed' | 'young' | 'open'; /** A sentence. */ readonly why: string }

/** The whole message of the fault where another run is at work. */
export const anotherRun = 'Another run archives this log: wait until it has ended.'

/**
 * Sees to it that there is a folder for archives.
 *
 * @param make whether it is made if it is not there
 * @param allowMemory whether it may lie in memory; for tests
 * @throws ArchiveFault if it cannot be used; what the file system throws
 */
export async function openFolder(directory: string, make: boolean, allowMemory: boolean): Promise<void> {
  if (make) await makeFolder(directory)
  else if (!(await isFolder(directory)))
    throw new ArchiveFault(`There is no folder ${directory}: mount its disk, or make it.`)
  const fileSystem = await findMemory(directory)
  if (fileSystem !== null && !allowMemory)
    throw new ArchiveFault(`${explainMemory(directory, fileSystem)}, or say --allow-memory.`)
}

/** Makes a folder, and those above it that are not there, and sees to it that all of them are on disk: a segment is dropped for what is in there. */
async function makeFolder(directory: string): Promise<void> {
  const first = await mkdir(directory, { recursive: true })
  if (first === undefined) return
  for (let made = resolve(directory); made.length >= resolve(first).length; made = dirname(made))
    await syncPath(dirname(made))
}

async function isFolder(path: string): Promise<boolean> {
  return stat(path).then(
    (entry) => entry.isDirectory(),
    () => false,
  )
}

/** Says of every segment whether it can be archived, the oldest first. It changes nothing. */
export async function* judgeSegments(client: pg.Client, before: Date): AsyncGenerator<Step> {
  for (const standing of await listSegments(client, before)) {
    const kept = explainKept(standing, before)
    yield kept === null ? { kind: 'ready', segment: standing } : { kind: 'kept', segment: standing, ...kept }
  }
}

/**
 * Archives every segment that can be, the oldest first: writes its archive, reads it back and compares it with the database, and only
 * then detaches and drops the segment. A run that was killed has left either the segment or a whole archive, and the next run goes on
 * from there: it checks and uses an archive that is whole. An archive that cannot be used is in the way of its own segment only.
 *
 * One run at a time: the session holds an advisory lock.
 *
 * @param client a connection of its own as the owner of the log
 * @throws ArchiveFault if another run is at work; what pg and the file system throw
 */
export async function* archive(client: pg.Client, request: ArchiveRequest): AsyncGenerator<Step> {
  if (!(await lockArchiving(client))) throw new ArchiveFault(anotherRun)
  // What a run that was killed has left.
  await forgetPositions(client)
  for await (const step of judgeSegments(client, request.before)) {
    const done = step.kind === 'ready' ? await archiveSegment(client, step.segment, request) : step
    // At once: until then, who reads the log from its start walks over the positions of archived messages.
    if (done.kind === 'archived') await forgetPositions(client)
    yield done
  }
}

function explainKept(
  { isNeeded, open, oldestOpen, lastRecordedAt }: SegmentStanding,
  before: Date,
): Kept | null {
  if (isNeeded) return { because: 'needed', why: 'new messages get its ids, now or later.' }
  if (lastRecordedAt !== null && lastRecordedAt >= before) {
    const why = `its last event is of ${lastRecordedAt.toISOString()} or later, which is not before ${before.toISOString()}.`
    return { because: 'young', why }
  }
  if (open === 0) return null
  const why = `${open} of its messages are not terminal, the oldest is message ${oldestOpen}.`
  return { because: 'open', why }
}

async function archiveSegment(client: pg.Client, segment: Segment, request: ArchiveRequest): Promise<Step> {
  const name = nameArchive(segment)
  const path = join(request.directory, name)
  const read = await readSegment(client, segment, path, request)
  if ('kind' in read) return { ...read, segment }
  request.failpoint('archive.compared')
  const row = { segment, name, ...read, actor: request.actor, reason: request.reason }
  const why = await dropWhenFree(client, row, read.fence, request)
  if (why !== null) return { kind: 'unfinished', segment, path, why }
  request.failpoint('archive.dropped')
  return { kind: 'archived', segment, counts: read.counts, path }
}

type Unread = ({ readonly kind: 'kept' } & Kept) | { readonly kind: 'refused'; readonly why: string }

type Read = {
  readonly counts: SegmentCounts
  readonly sums: SegmentSums
  readonly manifestSha256: string
  readonly fence: Fence
}

/**
 * Writes the archive, unless it is there already, and compares it with the database. The fence is seen first. Until an event is appended
 * behind it, all that is read here is of one state, although each statement reads in a snapshot of its own.
 */
async function readSegment(
  client: pg.Client,
  segment: Segment,
  path: string,
  { before, directory, actor, reason, failpoint }: ArchiveRequest,
): Promise<Read | Unread> {
  let fence = await readFence(client)
  const hasStayed = async (): Promise<boolean> => {
    const moved = await moveFence(client, segment, fence)
    if (moved === 'changed') return false
    fence = moved
    return true
  }
  const counts = await countSegment(client, segment)
  const kept = explainContradiction(counts, before)
  if (kept !== null) return { kind: 'kept', ...kept }
  const log = await readIdentity(client)
  const sums = await sumSegment(client, segment)
  const isThere = await exists(path)
  if (!isThere) {
    const lines = readUnchanged(client, segment, hasStayed)
    try {
      await writeArchive(directory, { log, segment, counts, sums, lines, actor, reason }, failpoint)
    } catch (error) {
      if (!(error instanceof Changed)) throw error
      const why = 'an event was appended to it while its archive was written.'
      return { kind: 'kept', because: 'young', why }
    }
  }
  try {
    if (isThere) await syncArchive(path)
    const manifestSha256 = await compareArchive(client, segment, path, { log, counts, sums }, failpoint)
    return { counts, sums, manifestSha256, fence }
  } catch (error) {
    if (!(error instanceof ArchiveFault)) throw error
    return { kind: 'refused', why: (await hasStayed()) ? error.message : `An ${appended}` }
  }
}

class Changed extends Error {}

/**
 * The lines of a segment, as of the moment in which it was counted.
 *
 * @throws Changed after the last one, if it has not stayed so
 */
async function* readUnchanged(
  client: pg.Client,
  segment: Segment,
  hasStayed: () => Promise<boolean>,
): AsyncGenerator<string[]> {
  yield* readLines(client, segment)
  if (!(await hasStayed())) throw new Changed()
}

/**
 * Reads an archive back from disk, and compares all of it with the database.
 *
 * @returns the SHA-256 of the manifest
 * @throws ArchiveFault if it is broken, or differs
 */
async function compareArchive(
  client: pg.Client,
  segment: Segment,
  path: string,
  { log, counts, sums }: Pick<Read, 'counts' | 'sums'> & { log: LogIdentity },
  failpoint: Failpoint,
): Promise<string> {
  const found = await checkFolder(path)
  failpoint('archive.read_back')
  const began = found.manifest.log?.began_at
  if (began !== undefined && began !== log.began_at)
    throw new ArchiveFault(
      `${path} is an archive of another database, whose log began at ${began}; this one's began at ${log.began_at}. Name another folder.`,
    )
  if (!isOf(found.manifest, segment, counts) || !isDeepStrictEqual(found.sums, sums))
    throw new ArchiveFault(
      `${path} does not come to what the database holds of segment ${segment.segment}: move it away and run again.`,
    )
  await compareLines(join(path, files.events), readLines(client, segment), found.manifest.events_sha256)
  return found.manifestSha256
}

/** The projection says that the segment can be archived; the events must say the same. */
function explainContradiction(
  { messages, last_recorded_at: last }: SegmentCounts,
  before: Date,
): Kept | null {
  if (messages.open > 0) {
    const why = `${messages.open} of its messages are not terminal, according to their events: run \`npm run rebuild\`.`
    return { because: 'open', why }
  }
  if (last !== null && new Date(last) >= before)
    return { because: 'young', why: `its last event is of ${last}.` }
  return null
}

function isOf(manifest: Manifest, segment: Segment, counts: SegmentCounts): boolean {
  const names = Object.keys(counts) as (keyof SegmentCounts)[]
  return (
    manifest.segment === segment.segment &&
    manifest.first_message_id === segment.firstMessageId &&
    manifest.next_message_id === segment.nextMessageId &&
    names.every((name) => isDeepStrictEqual(manifest[name], counts[name]))
  )
}

/** Returns null when the segment is dropped; else a sentence that says what is in the way. */
async function dropWhenFree(
  client: pg.Client,
  row: ArchiveRow,
  fence: Fence,
  { failpoint, waitMs }: ArchiveRequest,
): Promise<string | null> {
  const end = performance.now() + waitMs
  let seen = fence
  for (;;) {
    // Most of what was appended meanwhile is looked at here, so that little is left to look at under the lock.
    const moved = await moveFence(client, row.segment, seen)
    if (moved === 'changed') return `an ${appended}`
    seen = moved
    // Who holds a table for long would only make all others wait behind this.
    const holders = await nameHolders(client, row.segment)
    const answer =
      holders.length > 0
        ? 'busy'
        : await dropSegment(client, row, seen, lockTimeoutMs, () => failpoint('archive.before_commit'))
    if (answer === 'dropped') return null
    if (answer === 'changed') return `an ${appended}`
    if (performance.now() >= end)
      return `the log's tables were in use all the time${holders.length === 0 ? '' : ` by ${holders.join(', ')}`}: run again later.`
    await new Promise((resolve) => setTimeout(resolve, retryAfterMs))
  }
}

const appended = 'event was appended to it meanwhile: move the archive away and run again.'
