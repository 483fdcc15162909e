import { createHash } from 'node:crypto'
import { createReadStream, readdirSync, readFileSync, statSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'
import type pg from 'pg'
import type { Invariants } from './invariants.ts'
import { FileFault } from './read-json-lines.ts'

/** A segment of the log that is not in the database any more, according to the log. */
export type ArchivedSegment = {
  readonly segment: number
  readonly firstMessageId: number
  /** The first id that is not of this segment. */
  readonly nextMessageId: number
  readonly name: string
  readonly messages: number
  readonly events: number
  readonly success: number
  readonly deadLetter: number
  /** How many records its events account for, by the numbers of `offsetKinds`. */
  readonly records: readonly number[]
  readonly highestPosition: number | null
  readonly actor: string
  readonly reason: string
  /** Where its archive is; null if it was not given, or is broken. */
  readonly folder: string | null
}

type Row = {
  segment: number
  first_message_id: string
  next_message_id: string
  name: string
  manifest_sha256: string
  messages: string
  events: string
  success: string
  dead_letter: string
  records: string[]
  highest_position: string | null
  actor: string
  reason: string
}

type Manifest = { files?: unknown; events_sha256?: unknown; log?: { began_at?: unknown } }

/** The segments that were archived. */
export class Archives {
  readonly all: readonly ArchivedSegment[]
  readonly given: readonly ArchivedSegment[]
  readonly missing: readonly ArchivedSegment[]
  /** Names of folders that were given and are archives, but not of those that the log remembers. */
  readonly unknown: readonly string[]

  constructor(all: readonly ArchivedSegment[], unknown: readonly string[]) {
    this.all = all
    this.unknown = unknown
    this.given = all.filter(({ folder }) => folder !== null)
    this.missing = all.filter(({ folder }) => folder === null)
  }

  find(messageId: number | null): ArchivedSegment | undefined {
    if (messageId === null) return undefined
    return this.all.find((each) => messageId >= each.firstMessageId && messageId < each.nextMessageId)
  }

  /** Whether one of these ids is of a segment whose archive was not given. */
  lacks(firstMessageId: number | null, lastMessageId: number | null): boolean {
    if (firstMessageId === null || lastMessageId === null) return false
    return this.missing.some(
      (each) => firstMessageId < each.nextMessageId && lastMessageId >= each.firstMessageId,
    )
  }
}

/**
 * Reads which segments are archived, and finds their archives in the given folders. Every file of an archive is held against its
 * manifest, and the manifest against the log (S13). An archive that differs is not read: its events count as not given.
 *
 * @param folders each is an archive, or a folder of archives
 * @throws FileFault if a folder cannot be read, or has an archive of another database; what the file system says if a file of an archive cannot
 */
export async function readArchives(
  client: pg.Client,
  folders: readonly string[],
  invariants: Invariants,
): Promise<Archives> {
  const { rows } = await client.query<Row>(`
    select segment, first_message_id, next_message_id, name, encode(manifest_sha256, 'hex') as manifest_sha256, messages, events,
      success, dead_letter, array[0, received, duplicates, conflicts, rejected]::text[] as records, highest_position, actor, reason
    from segment_archives order by segment`)
  const began = await readBeginning(client)
  const found = new Map<string, string[]>()
  for (const path of new Set(folders.flatMap((folder) => listArchives(folder, rows)))) {
    refuseOther(path, began)
    const name = nameArchive(path, rows)
    found.set(name, [...(found.get(name) ?? []), path])
  }
  const all: ArchivedSegment[] = []
  for (const row of rows) {
    let whole: string | null = null
    for (const path of choose(found.get(row.name) ?? [], row.manifest_sha256))
      if (await checkArchive(client, path, row, invariants)) whole ??= path
    all.push(readRow(row, whole))
  }
  const unknown = [...found].filter(
    ([name, paths]) =>
      !all.some((each) => each.name === name) &&
      (isName(name) || paths.some((path) => readBegan(join(path, 'manifest.json')) !== null)),
  )
  return new Archives(all, unknown.map(([name]) => name).sort())
}

/** An archive is known by its name, and one under another name by its manifest. */
function nameArchive(path: string, rows: readonly Row[]): string {
  const name = basename(path)
  if (rows.some((row) => row.name === name)) return name
  const sha256 = hashOf(join(path, 'manifest.json'))
  return rows.find((row) => row.manifest_sha256 === sha256)?.name ?? name
}

/**
 * A run that was killed may leave an archive in one folder, and the next run may write the same segment into another: the log knows
 * which counts. All copies of that one are checked.
 */
function choose(paths: readonly string[], manifestSha256: string): readonly string[] {
  const known = paths.filter((path) => hashOf(join(path, 'manifest.json')) === manifestSha256)
  return known.length > 0 ? known : paths.slice(-1)
}

function hashOf(path: string): string | null {
  try {
    return createHash('sha256').update(readFileSync(path)).digest('hex')
  } catch {
    return null
  }
}

/** As `npm run archive` names them. What else lies in a folder of archives is somebody's own. */
function isName(name: string): boolean {
  return /^segment-\d{6,}-messages-\d+-\d+$/.test(name)
}

/** When this log was made: that tells it from others, over a failover, a restore and an upgrade of the server. */
async function readBeginning(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ began_at: string }>(
    `select ${time('recorded_at')} as began_at from log_epochs order by epoch limit 1`,
  )
  return rows[0]?.began_at ?? ''
}

/** An archive that does not say whose it is, because an older release wrote it or it is broken, is judged by its sums (S13). */
function refuseOther(path: string, began: string): void {
  const said = readBegan(join(path, 'manifest.json'))
  if (said !== null && said !== began)
    throw new FileFault(
      `The archive ${path} is of another database, whose log began at ${said}; this one's began at ${began}: name the folder of this database's archives.`,
    )
}

function readBegan(path: string): string | null {
  if (!isThere(path)) return null
  try {
    const { log } = JSON.parse(readFileSync(path, 'utf8')) as Manifest
    return typeof log?.began_at === 'string' ? log.began_at : null
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof TypeError) return null
    throw error
  }
}

function listArchives(folder: string, rows: readonly Row[]): string[] {
  const isArchive = rows.some(({ name }) => name === basename(folder)) && isThere(folder)
  if (isArchive || isThere(join(folder, 'manifest.json'))) return [folder]
  try {
    // What a run that was killed has left unfinished begins with a dot.
    return readdirSync(folder, { withFileTypes: true })
      .filter(({ name }) => !name.startsWith('.'))
      .map((entry) => ({ entry, path: join(folder, entry.name) }))
      .filter(({ entry, path }) => entry.isDirectory() || (entry.isSymbolicLink() && isFolder(path)))
      .map(({ path }) => path)
  } catch (error) {
    throw new FileFault(`The archive ${folder} cannot be read: ${(error as Error).message}.`, {
      cause: error,
    })
  }
}

async function checkArchive(
  client: pg.Client,
  path: string,
  row: Row,
  { S13 }: Invariants,
): Promise<boolean> {
  const fault = (await findFault(path, row)) ?? (await findOtherSums(client, path, row.segment))
  S13.checked++
  if (fault !== null) S13.differ(`archive ${path}`, null, fault)
  return fault === null
}

async function findFault(path: string, row: Row): Promise<string | null> {
  if (!isThere(join(path, 'manifest.json'))) return 'manifest.json is missing'
  const text = readFileSync(join(path, 'manifest.json'))
  if (createHash('sha256').update(text).digest('hex') !== row.manifest_sha256)
    return 'manifest.json is not the one that the log remembers'
  const files = (JSON.parse(text.toString('utf8')) as Manifest).files as { name: string; sha256: string }[]
  for (const { name, sha256 } of files) {
    if (!isThere(join(path, name))) return `${name} is missing`
    if ((await hashFile(join(path, name))) !== sha256)
      return `${name} does not have the SHA-256 in the manifest`
  }
  if (!isThere(join(path, 'SHA256SUMS'))) return 'SHA256SUMS is missing'
  const listed = [...files, { name: 'manifest.json', sha256: row.manifest_sha256 }]
  const sums = listed.map(({ name, sha256 }) => `${sha256}  ${name}\n`).join('')
  return readFileSync(join(path, 'SHA256SUMS'), 'utf8') === sums
    ? null
    : 'SHA256SUMS does not say the same as the manifest'
}

/** @throws what the file system says if that cannot be told, as without permission: that is not a missing file */
function isThere(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false }) !== undefined
}

function isFolder(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
}

async function hashFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path) as AsyncIterable<Buffer>) hash.update(chunk)
  return hash.digest('hex')
}

/** The sums in the archive and those that the log remembers must be the same. */
async function findOtherSums(client: pg.Client, path: string, segment: number): Promise<string | null> {
  const said = JSON.parse(readFileSync(join(path, 'sums.json'), 'utf8')) as Record<
    'rollups' | 'failures',
    unknown
  >
  const rollups = await client.query<{ row: unknown }>(
    `select json_build_object('minute', case when minute = '-infinity' then '-infinity' else ${time('minute')} end,
       'measure', measure, 'bucket', bucket, 'n', n) as row
     from archived_rollups where segment = $1 order by minute, measure, bucket`,
    [segment],
  )
  const failures = await client.query<{ row: unknown }>(
    `select json_build_object('minute', ${time('minute')}, 'pattern', pattern, 'n', n, 'last_at', ${time('last_at')},
       'examples', examples) as row
     from archived_failures where segment = $1 order by minute, pattern`,
    [segment],
  )
  const kept = { rollups: rollups.rows.map(({ row }) => row), failures: failures.rows.map(({ row }) => row) }
  return isDeepStrictEqual(kept, said) ? null : 'sums.json and what the log remembers of it are not the same'
}

function time(column: string): string {
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}

function readRow(row: Row, folder: string | null): ArchivedSegment {
  return {
    segment: row.segment,
    firstMessageId: Number(row.first_message_id),
    nextMessageId: Number(row.next_message_id),
    name: row.name,
    messages: Number(row.messages),
    events: Number(row.events),
    success: Number(row.success),
    deadLetter: Number(row.dead_letter),
    records: row.records.map(Number),
    highestPosition: row.highest_position === null ? null : Number(row.highest_position),
    actor: row.actor,
    reason: row.reason,
    folder,
  }
}
