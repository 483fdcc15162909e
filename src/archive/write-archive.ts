import { createHash } from 'node:crypto'
import { createWriteStream } from 'node:fs'
import { mkdir, open, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { createGzip } from 'node:zlib'
import type { SegmentCounts, SegmentSums } from '../log/archive/count-segment.ts'
import type { Segment } from '../log/archive/list-segments.ts'
import type { LogIdentity } from '../log/archive/session.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { readRelease } from '../runtime/read-release.ts'
import {
  ArchiveFault,
  files,
  format,
  hashFile,
  nameArchive,
  printChecksums,
  syncPath,
  type Manifest,
} from './archive-folder.ts'

export type Content = {
  readonly log: LogIdentity
  readonly segment: Segment
  readonly counts: SegmentCounts
  readonly sums: SegmentSums
  /** The events as lines, in order, in pieces. */
  readonly lines: AsyncIterable<string[]>
  readonly actor: string
  readonly reason: string
}

/**
 * Writes an archive. All of it is written to a folder beside, and is on disk before the folder gets its name. So a folder with that
 * name is complete, whenever the process is killed. Only the user who runs this can read it: it has the payloads.
 *
 * @throws ArchiveFault if it cannot be written, for example because the disk is full; what the lines throw. No part of it is left then.
 */
export async function writeArchive(directory: string, content: Content, failpoint: Failpoint): Promise<void> {
  const path = join(directory, nameArchive(content.segment))
  const beside = join(directory, `.${nameArchive(content.segment)}.part`)
  const source = watch(content.lines)
  try {
    // What a run left behind that was killed.
    await rm(beside, { recursive: true, force: true })
    await mkdir(beside, { mode: 0o700 })
    await writeFiles(beside, { ...content, lines: source.lines }, failpoint)
    failpoint('archive.written')
    await rename(beside, path)
    await syncPath(directory)
  } catch (cause) {
    await rm(beside, { recursive: true, force: true }).catch(() => undefined)
    if (source.hasFailed()) throw cause
    throw new ArchiveFault(
      `${path} cannot be written: ${reasonOf(cause)}. The segment stays in the database.`,
      { cause },
    )
  }
  failpoint('archive.named')
}

/** The same lines, and whether reading them failed. */
function watch(lines: AsyncIterable<string[]>): { lines: AsyncIterable<string[]>; hasFailed: () => boolean } {
  let failed = false
  async function* watched(): AsyncGenerator<string[]> {
    try {
      yield* lines
    } catch (error) {
      failed = true
      throw error
    }
  }
  return { lines: watched(), hasFailed: () => failed }
}

async function writeFiles(folder: string, content: Content, failpoint: Failpoint): Promise<void> {
  const eventsSha256 = await writeEvents(join(folder, files.events), content.lines, failpoint)
  failpoint('archive.events_written')
  await writeWhole(join(folder, files.sums), printJson(content.sums))
  const listed = await Promise.all(
    [files.events, files.sums].map(async (file) => ({ name: file, ...(await hashFile(join(folder, file))) })),
  )
  const manifest: Manifest = {
    format,
    log: content.log,
    segment: content.segment.segment,
    first_message_id: content.segment.firstMessageId,
    next_message_id: content.segment.nextMessageId,
    ...content.counts,
    events_sha256: eventsSha256,
    files: listed,
    release: readRelease(),
    actor: content.actor,
    reason: content.reason,
    written_at: new Date().toISOString(),
  }
  const text = printJson(manifest)
  await writeWhole(join(folder, files.manifest), text)
  const sha256 = createHash('sha256').update(text).digest('hex')
  await writeWhole(
    join(folder, files.checksums),
    printChecksums([...listed, { name: files.manifest, sha256 }]),
  )
  await syncPath(folder)
}

async function writeEvents(
  path: string,
  lines: AsyncIterable<string[]>,
  failpoint: Failpoint,
): Promise<string> {
  const hash = createHash('sha256')
  async function* text(): AsyncGenerator<string> {
    for await (const piece of lines) {
      const joined = piece.map((line) => `${line}\n`).join('')
      hash.update(joined)
      yield joined
      failpoint('archive.piece_written')
    }
  }
  await pipeline(Readable.from(text()), createGzip(), createWriteStream(path, { mode: 0o600 }))
  await syncPath(path)
  return hash.digest('hex')
}

async function writeWhole(path: string, text: string): Promise<void> {
  const file = await open(path, 'w', 0o600)
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

function printJson(value: unknown): string {
  return `${JSON.stringify(value, null, 1)}\n`
}
