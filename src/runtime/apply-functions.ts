import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import type pg from 'pg'
import { replaceFunction } from './replace-function.ts'

const editionFile = new URL('../../migrations/functions/edition.json', import.meta.url)

/** A file of this release's migrations. */
export type Source = { name: string; sql: string; checksum: string }

/**
 * The functions of a release as a whole. Editions are counted up whenever a text changes (`npm run schema` does it), so that of
 * two releases on one database it is known which is the later one.
 */
export type Edition = { edition: number; checksum: string }

export async function readEdition(): Promise<Edition> {
  return JSON.parse(await readFile(editionFile, 'utf8')) as Edition
}

/** What an edition's number stands for. */
export function checksumOf(sources: readonly Source[]): string {
  const hash = createHash('sha256')
  for (const { name, checksum } of sources) hash.update(`${name}\0${checksum}\n`)
  return hash.digest('hex')
}

/**
 * Applies each function whose text differs from the database's. Functions that a later edition has brought stay as they are: an
 * instance of an earlier release that is started again works with them. The caller has a transaction open.
 *
 * An earlier release may run beside this one. It calls functions by the order of their parameters or by their names, so later
 * editions keep both.
 *
 * @returns the names of what was applied, and of what was left as a later edition has it
 */
export async function applyFunctions(
  client: pg.Client,
  sources: readonly Source[],
): Promise<{ applied: string[]; later: string[] }> {
  const { edition } = await readEdition()
  const { rows } = await client.query<{ name: string; checksum: string; edition: number }>(
    'select name, checksum, edition from schema_functions',
  )
  const known = new Map(rows.map((row) => [row.name, row]))
  const isLater = ({ name }: Source) => (known.get(name)?.edition ?? 0) > edition
  const changed = sources.filter(({ name, checksum }) => known.get(name)?.checksum !== checksum)
  const ours = changed.filter((source) => !isLater(source))
  // Functions whose text this edition did not change get its number too. Otherwise an older release with another text could overwrite them.
  const isBehind = sources.some((source) => known.get(source.name)?.edition !== edition && !isLater(source))
  if (ours.length > 0 || isBehind) await apply(client, ours, sources, edition)
  return { applied: ours.map(({ name }) => name), later: changed.filter(isLater).map(({ name }) => name) }
}

async function apply(
  client: pg.Client,
  changed: readonly Source[],
  sources: readonly Source[],
  edition: number,
): Promise<void> {
  for (const { name, sql, checksum } of changed) {
    await replaceFunction(client, name.slice(0, -'.sql'.length), sql)
    await client.query(
      `insert into schema_functions (name, checksum, edition) values ($1, $2, $3)
       on conflict (name) do update
         set checksum = excluded.checksum, edition = excluded.edition, applied_at = clock_timestamp()`,
      [name, checksum, edition],
    )
  }
  await client.query('update schema_functions set edition = $1 where edition < $1 and name = any ($2)', [
    edition,
    sources.map(({ name }) => name),
  ])
}

/** What is known of the functions that were applied; made before anything else is done. */
export async function createFunctionsTable(client: pg.Client): Promise<void> {
  await client.query(`create table if not exists schema_functions (
    name text primary key, checksum text not null, applied_at timestamptz not null default clock_timestamp(),
    edition int not null default 0)`)
  // Databases from before there were editions. Looked for first, because to alter a table waits for whoever reads it: a dump.
  const { rowCount } = await client.query(
    `select from pg_attribute where attrelid = 'schema_functions'::regclass and attname = 'edition'`,
  )
  if (rowCount === 0)
    await client.query('alter table schema_functions add column edition int not null default 0')
}
