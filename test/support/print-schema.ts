import { realpathSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { printSchema as printGraphqlSchema } from 'graphql'
import type pg from 'pg'
import { schema } from '../../src/api/graphql/schema.ts'
import { exitCodes, runCommand } from '../../src/commands/run-command.ts'
import { checksumOf, readEdition } from '../../src/runtime/apply-functions.ts'
import { readFunctions } from '../../src/runtime/migrate.ts'
import { database } from './database.ts'
import { operationsFile, printOperations } from './print-operations.ts'
import { printSettings } from './print-settings.ts'

export const schemaFile = new URL('../../schema/database.sql', import.meta.url)
export const editionFile = new URL('../../migrations/functions/edition.json', import.meta.url)
export const graphqlFile = new URL('../../schema/schema.graphql', import.meta.url)
export const settingsFile = new URL('../../docs/settings.md', import.meta.url)

const head = `-- Printed from a freshly migrated database by \`npm run schema\`; do not edit. The sources are in migrations/.\n`

/**
 * The schema as PostgreSQL has it, in the order of names, in a form that is the same on every supported release: what
 * pg_dump prints differs from release to release, and it has to be installed.
 */
export async function printSchema(pool: pg.Pool): Promise<string> {
  const parts = [head]
  for (const part of [tables, sequences, views, triggers, functions]) {
    const { rows } = await pool.query<{ text: string }>(part)
    parts.push(...rows.map((row) => withoutLoneAlias(row.text).trimEnd() + '\n'))
  }
  return parts.join('\n')
}

/**
 * Before 16, PostgreSQL prints a view's columns with the alias of its table even where that is the only table. The alias stays
 * in subqueries, which have tables of their own.
 */
function withoutLoneAlias(text: string): string {
  const alias = /^create view .*\n {3}FROM \w+ (\w+);\s*$/s.exec(text)?.[1]
  if (alias === undefined) return text
  const subquery = /(\( SELECT(?:[^()]|\([^()]*\))*\))/
  return text
    .split(subquery)
    .map((part, index) => (index % 2 === 1 ? part : part.replaceAll(new RegExp(`\\b${alias}\\.`, 'g'), '')))
    .join('')
}

/** The GraphQL schema, as the playground shows it. */
export function printGraphql(): string {
  return `# Printed from the code by \`npm run schema\`; do not edit.\n\n${printGraphqlSchema(schema)}\n`
}

/** The edition of the functions as they are: the one that is written down, or its successor if a text has changed since. */
export async function printEdition(): Promise<string> {
  const written = await readEdition()
  const checksum = checksumOf(await readFunctions())
  const edition = written.checksum === checksum ? written.edition : written.edition + 1
  return `${JSON.stringify({ edition, checksum }, null, 2)}\n`
}

// A constraint NOT NULL is a property of its column here: PostgreSQL 18 lists it as a constraint too.
const tables = `
  select format(E'create table %I (\\n%s\\n)%s%s;%s', c.relname,
    (select string_agg(line, E',\\n' order by sort, name) from (
      select 0 as sort, to_char(a.attnum, '000') as name, format('  %I %s%s%s%s', a.attname,
        format_type(a.atttypid, a.atttypmod),
        case when a.attcollation <> ty.typcollation then format(' collate "%s"', co.collname) end,
        case when a.attnotnull then ' not null' end,
        case when a.attidentity = 'a' then ' generated always as identity'
          when d.oid is not null then ' default ' || pg_get_expr(d.adbin, d.adrelid) end) as line
      from pg_attribute a
      join pg_type ty on ty.oid = a.atttypid
      left join pg_collation co on co.oid = a.attcollation
      left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      union all
      select 1, k.conname, format('  constraint %I %s', k.conname, pg_get_constraintdef(k.oid))
      from pg_constraint k where k.conrelid = c.oid and k.contype <> 'n'
    ) lines),
    case when c.relkind = 'p' then ' partition by ' || pg_get_partkeydef(c.oid) end,
    ' with (' || array_to_string(c.reloptions, ', ') || ')',
    (select string_agg(E'\\n' || pg_get_indexdef(i.indexrelid) || ';', '' order by x.relname)
      from pg_index i join pg_class x on x.oid = i.indexrelid
      where i.indrelid = c.oid and not exists (select from pg_constraint k where k.conindid = i.indexrelid))
  ) as text
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind in ('r', 'p')
    and not c.relispartition
  order by c.relname`

const sequences = `
  select format('create sequence %I as %s start %s increment %s;', s.sequencename, s.data_type, s.start_value, s.increment_by)
    as text
  from pg_sequences s
  where s.schemaname = 'public' and not exists (
    select from pg_depend d
    where d.objid = format('%I.%I', s.schemaname, s.sequencename)::regclass and d.deptype = 'i')
  order by s.sequencename`

const views = `
  select format(E'create view %I as\\n%s', c.relname, pg_get_viewdef(c.oid, true)) as text
  from pg_class c where c.relnamespace = 'public'::regnamespace and c.relkind = 'v' order by c.relname`

const triggers = `
  select format(E'%s;\\n-- enabled: %s', pg_get_triggerdef(g.oid),
    case g.tgenabled when 'A' then 'always' when 'O' then 'origin' when 'R' then 'replica' else 'no' end) as text
  from pg_trigger g join pg_class c on c.oid = g.tgrelid
  where c.relnamespace = 'public'::regnamespace and not g.tgisinternal
    and not c.relispartition
  order by c.relname, g.tgname`

const functions = `
  select pg_get_functiondef(p.oid) || ';' as text
  from pg_proc p where p.pronamespace = 'public'::regnamespace and p.prokind in ('f', 'p')
  order by p.proname, pg_get_function_identity_arguments(p.oid)`

const usage = `Usage: npm run schema

Writes what is printed from the code again: schema/database.sql, schema/schema.graphql, docs/settings.md,
console/api/operations.ts and migrations/functions/edition.json.

  --help  this text

Ends with 0 if they are written, 2 if it could not run.
`

async function write(): Promise<number> {
  await writeFile(graphqlFile, printGraphql())
  await writeFile(settingsFile, await printSettings())
  await writeFile(operationsFile, await printOperations())
  await writeFile(editionFile, await printEdition())
  // Outside a test there is no tap to tidy up; what a test would leave to it is done at the end.
  const teardowns: (() => unknown)[] = []
  const { pool } = await database({ teardown: (handler: () => unknown) => teardowns.push(handler) })
  await writeFile(schemaFile, await printSchema(pool))
  for (const teardown of teardowns.reverse()) await teardown()
  return exitCodes.done
}

if (realpathSync(process.argv[1] ?? '') === fileURLToPath(import.meta.url))
  process.exitCode = await runCommand({ usage, options: {}, run: write })
