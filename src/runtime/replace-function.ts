import pg from 'pg'

const invalidFunctionDefinition = '42P13'

/**
 * Runs a `create or replace function`. PostgreSQL refuses to replace a function by one that returns other
 * columns or has other parameter names; the text of a newer or older edition may differ in this way. Then the function with the same
 * parameter types is dropped first. Functions of the same name with other types stay: an older release beside this one calls them. The caller has a
 * transaction open, so that nobody finds the function gone.
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
  for (const parameters of before) await rename(client, name, parameters, aside)
  await client.query(sql)
  const made = await findFunctions(client, name)
  for (const parameters of before) {
    if (made.includes(parameters)) await client.query(`drop function ${identify(aside, parameters)}`)
    else await rename(client, aside, parameters, name)
  }
}

/** The types of the parameters of each function of this name, as `alter function` takes them. */
async function findFunctions(client: pg.Client, name: string): Promise<string[]> {
  const { rows } = await client.query<{ parameters: string }>(
    `select oidvectortypes(proargtypes) as parameters from pg_proc
      where proname = $1 and pronamespace = 'public'::regnamespace`,
    [name],
  )
  return rows.map(({ parameters }) => parameters)
}

async function rename(client: pg.Client, from: string, parameters: string, to: string): Promise<void> {
  await client.query(`alter function ${identify(from, parameters)} rename to ${pg.escapeIdentifier(to)}`)
}

function identify(name: string, parameters: string): string {
  return `public.${pg.escapeIdentifier(name)}(${parameters})`
}
