import pg from 'pg'

const invalidFunctionDefinition = '42P13'

/**
 * Runs a `create or replace function`. PostgreSQL refuses to replace a function by one that returns other
 * columns or has other parameter names; the text of another edition may differ in this way. Then the function with the same parameter
 * types is dropped first, and whoever could execute it can execute the new one. Functions of the same name with other types stay: an
 * older release beside this one calls them. Functions of others stay, too. The caller has a transaction open, so that nobody finds the
 * function gone.
 */
export async function replaceFunction(client: pg.Client, name: string, sql: string): Promise<void> {
  await client.query('savepoint replacing')
  try {
    await client.query(sql)
  } catch (error) {
    if (!(error instanceof pg.DatabaseError) || error.code !== invalidFunctionDefinition) throw error
    await client.query('rollback to savepoint replacing')
    await dropAndCreate(client, name, sql)
  }
  await client.query('release savepoint replacing')
}

/**
 * The parameter types of the new function are known only once it exists. So all functions of this name are renamed first; then the one with
 * the same types is dropped, and the others get their name back.
 */
async function dropAndCreate(client: pg.Client, name: string, sql: string): Promise<void> {
  const before = await findFunctions(client, name)
  const aside = `${name} stepped aside`
  for (const { parameters } of before) await rename(client, name, parameters, aside)
  await client.query(sql)
  const made = (await findFunctions(client, name)).map(({ parameters }) => parameters)
  for (const { parameters, executors } of before) {
    if (made.includes(parameters)) {
      await client.query(`drop function ${identify(aside, parameters)}`)
      await grantExecute(client, identify(name, parameters), executors)
    } else await rename(client, aside, parameters, name)
  }
}

type Existing = {
  /** The types of its parameters, as `alter function` takes them. */
  parameters: string
  /** The roles that may execute it, but for the owner and PUBLIC. */
  executors: string[]
}

/** The functions of this name that are ours: not an extension's, and not those of roles that this one is no member of. */
async function findFunctions(client: pg.Client, name: string): Promise<Existing[]> {
  const { rows } = await client.query<Existing>(
    `select oidvectortypes(p.proargtypes) as parameters,
        array(
          select r.rolname::text from aclexplode(p.proacl) a join pg_roles r on r.oid = a.grantee
          where a.privilege_type = 'EXECUTE' and a.grantee <> p.proowner
        ) as executors
      from pg_proc p
      where p.proname = $1 and p.pronamespace = 'public'::regnamespace and pg_has_role(p.proowner, 'usage')
        and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')`,
    [name],
  )
  return rows
}

/** PostgreSQL lets everybody execute a new function. */
async function grantExecute(
  client: pg.Client,
  signature: string,
  executors: readonly string[],
): Promise<void> {
  await client.query(`revoke execute on function ${signature} from public`)
  for (const role of executors)
    await client.query(`grant execute on function ${signature} to ${pg.escapeIdentifier(role)}`)
}

async function rename(client: pg.Client, from: string, parameters: string, to: string): Promise<void> {
  await client.query(`alter function ${identify(from, parameters)} rename to ${pg.escapeIdentifier(to)}`)
}

function identify(name: string, parameters: string): string {
  return `public.${pg.escapeIdentifier(name)}(${parameters})`
}
