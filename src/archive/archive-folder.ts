import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, readFile, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type { SegmentCounts, SegmentSums } from '../log/archive/count-segment.ts'
import type { Segment } from '../log/archive/list-segments.ts'
import type { LogIdentity } from '../log/archive/session.ts'
import { reasonOf } from '../runtime/reason-of.ts'

export const files = {
  events: 'events.jsonl.gz',
  sums: 'sums.json',
  manifest: 'manifest.json',
  checksums: 'SHA256SUMS',
} as const

/** The form of an archive's files. A reader refuses another one. */
export const format = 1

/** What manifest.json holds. */
export type Manifest = SegmentCounts & {
  readonly format: typeof format
  /** The log that the segment is of. Archives of older releases do not have it. */
  readonly log?: LogIdentity
  readonly segment: number
  readonly first_message_id: number
  readonly next_message_id: number
  /** The SHA-256 of all lines of the events, uncompressed, in order. */
  readonly events_sha256: string
  /** The other files but SHA256SUMS. */
  readonly files: readonly { readonly name: string; readonly bytes: number; readonly sha256: string }[]
  readonly release: string
  readonly actor: string
  readonly reason: string
  readonly written_at: string
}

/** An archive that cannot be used. The message is a sentence for the operator. */
export class ArchiveFault extends Error {}

/** The folder's name, which the log remembers. */
export function nameArchive({ segment, firstMessageId, nextMessageId }: Segment): string {
  return `segment-${String(segment).padStart(6, '0')}-messages-${firstMessageId}-${nextMessageId - 1}`
}

export async function exists(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  )
}

/** Makes sure that the entries of a folder, or the bytes of a file, are on disk. */
export async function syncPath(path: string): Promise<void> {
  const entry = await open(path, 'r')
  try {
    await entry.sync()
  } finally {
    await entry.close()
  }
}

/**
 * Makes sure that an archive is on disk: a run that was killed may have named it, and somebody may have copied it to its place.
 *
 * @throws ArchiveFault if what is there is no folder, or cannot be read
 */
export async function syncArchive(path: string): Promise<void> {
  return blameArchive(path, async () => {
    for (const name of await readdir(path)) await syncPath(join(path, name))
    await syncPath(path)
    await syncPath(dirname(path))
  })
}

/** Whatever the file system says about an archive is a fault of that one, and in the way of no other. */
export async function blameArchive<Result>(path: string, act: () => Promise<Result>): Promise<Result> {
  try {
    return await act()
  } catch (cause) {
    if (cause instanceof ArchiveFault) throw cause
    throw new ArchiveFault(`${path} cannot be read: ${reasonOf(cause)}.`, { cause })
  }
}

/** The SHA-256 of a file, in hexadecimal digits, and its size. */
export async function hashFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) {
    hash.update(chunk)
    bytes += chunk.length
  }
  return { bytes, sha256: hash.digest('hex') }
}

/** Prints the lines of SHA256SUMS as sha256sum does. */
export function printChecksums(sums: readonly { name: string; sha256: string }[]): string {
  return sums.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')
}

/**
 * Reads the manifest and the sums of an archive, and checks every file against the manifest and SHA256SUMS.
 *
 * @throws ArchiveFault that says what is broken
 */
export async function checkFolder(folder: string): Promise<Found> {
  return blameArchive(folder, () => checkFiles(folder))
}

type Found = { manifest: Manifest; manifestSha256: string; sums: SegmentSums }

async function checkFiles(folder: string): Promise<Found> {
  const read = async (name: string): Promise<string> =>
    blameArchive(join(folder, name), () => readFile(join(folder, name), 'utf8'))
  const text = await read(files.manifest)
  const manifest = parse(text, join(folder, files.manifest)) as
    (Omit<Manifest, 'format'> & { format: number }) | null
  if (typeof manifest?.format !== 'number')
    throw new ArchiveFault(`${join(folder, files.manifest)} is no manifest.`)
  if (manifest.format !== format)
    throw new ArchiveFault(`${folder} has the format ${manifest.format}, and this release reads ${format}.`)
  if (!isDeepStrictEqual(namesOf(manifest.files), [files.events, files.sums]))
    throw new ArchiveFault(`${join(folder, files.manifest)} does not name the files of an archive.`)
  const manifestSha256 = createHash('sha256').update(text).digest('hex')
  const expected = [...manifest.files, { name: files.manifest, sha256: manifestSha256 }]
  if ((await read(files.checksums)) !== printChecksums(expected))
    throw new ArchiveFault(`${join(folder, files.checksums)} and the manifest beside it do not say the same.`)
  for (const { name, bytes, sha256 } of manifest.files) {
    const path = join(folder, name)
    if (!(await exists(path))) throw new ArchiveFault(`${path} is missing.`)
    const is = await hashFile(path)
    if (is.sha256 !== sha256 || is.bytes !== bytes)
      throw new ArchiveFault(`${path} is not what the manifest says: its SHA-256 is ${is.sha256}.`)
  }
  const names = [files.checksums, ...expected.map(({ name }) => name)]
  const surplus = (await readdir(folder)).find((name) => !names.includes(name as never))
  if (surplus !== undefined) throw new ArchiveFault(`${join(folder, surplus)} is not in the manifest.`)
  const sums = parse(await read(files.sums), join(folder, files.sums)) as SegmentSums
  return { manifest: { ...manifest, format }, manifestSha256, sums }
}

function namesOf(listed: unknown): unknown[] {
  return Array.isArray(listed) ? listed.map((each: { name?: unknown } | null) => each?.name) : []
}

function parse(text: string, path: string): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new ArchiveFault(`${path} is not JSON.`, { cause })
  }
}
