import type { Asked } from './recognize-server.ts'

export type Server = {
  /** The role that the service uses. */
  readonly role: string
  /** One sentence for each reason why this server cannot keep the log. An operator has to repair them. */
  readonly faults: readonly string[]
  /** What an operator should know, and may accept. */
  readonly warnings: readonly string[]
}

export type ServerFacts = {
  role: string
  version: string
  version_number: number
  encoding: string
  fsync: string
  full_page_writes: string
  synchronous_commit: string
  session_role: string
  /** Whether the role is told what the sessions of its own login do. */
  sees_own_sessions: boolean
}

const oldest = 15

/** Asks the server for the settings that the service's promises depend on. It needs no schema of ours. */
export async function inspectServer(database: Asked): Promise<Server> {
  const { rows } = await database.query<ServerFacts>(
    `select current_user as role, current_setting('server_version') as version,
       current_setting('server_version_num')::int as version_number,
       current_setting('server_encoding') as encoding, current_setting('fsync') as fsync,
       current_setting('full_page_writes') as full_page_writes,
       current_setting('synchronous_commit') as synchronous_commit, session_user as session_role,
       pg_has_role(session_user, 'usage') or pg_has_role('pg_read_all_stats', 'usage') as sees_own_sessions`,
  )
  const [row] = rows
  if (row === undefined) throw new Error('what the server says of itself is one row')
  return judgeServer(row)
}

/** Finds the faults and warnings in what the server said. */
export function judgeServer(facts: ServerFacts): Server {
  return { role: facts.role, faults: findFaults(facts), warnings: findWarnings(facts) }
}

function findFaults({
  role,
  version,
  version_number,
  encoding,
  fsync,
  synchronous_commit,
}: ServerFacts): string[] {
  const faults: string[] = []
  if (version_number < oldest * 10_000)
    faults.push(`PostgreSQL is ${version}: upgrade it to ${oldest} or newer.`)
  if (encoding !== 'UTF8')
    faults.push(`The database's encoding is ${encoding}: create the database anew with encoding UTF8.`)
  if (fsync === 'off')
    faults.push(`PostgreSQL runs with fsync off and may lose commits in a crash: set fsync to on.`)
  // A crash would take back the start of an attempt that was sent, or its outcome, and the payment would be sent once more.
  if (synchronous_commit === 'off') {
    faults.push(
      `synchronous_commit is off for the role ${role}, and a crash may lose the last commits: set it to on.`,
    )
  }
  return faults
}

/**
 * Warnings only. A file system that never writes half a page, such as ZFS, does not need full_page_writes, and we cannot ask which one it
 * is. What needs to see the own sessions are bounds and reports during an outage, and no payment is lost without them.
 */
function findWarnings({ role, full_page_writes, session_role, sees_own_sessions }: ServerFacts): string[] {
  const warnings: string[] = []
  if (full_page_writes === 'off')
    warnings.push(
      'full_page_writes is off: unless the file system never writes half a page, a crash may damage the log',
    )
  if (!sees_own_sessions)
    warnings.push(
      `sessions log in as ${session_role} and take the role ${role}, which is not told what they do, so commits that wait for a ` +
        `synchronous standby are not seen: grant pg_read_all_stats to ${role}`,
    )
  return warnings
}
