import pg from 'pg'

const lockNotAvailable = '55P03'

type Holder = { pid: number | null; application: string | null; state: string | null; is_advisory: boolean }

/**
 * The same error; or, if it came of a lock that was waited for in vain, one that names the session in the way. That is whoever
 * holds the advisory lock, or else the oldest transaction on the tables of the schema: it was there before the wait began.
 */
export async function explainHeldLock(
  client: pg.Client,
  advisoryLock: number,
  error: unknown,
): Promise<unknown> {
  if (!(error instanceof pg.DatabaseError) || error.code !== lockNotAvailable) return error
  const holder = await findHolder(client, advisoryLock).catch(() => null)
  return holder === null ? error : new Error(describe(holder), { cause: error })
}

function describe({ pid, application, state, is_advisory }: Holder): string {
  // What another role's session does is told to its members and to pg_read_all_stats only.
  const doing = [application, state].filter((each) => each !== null && each !== '').join(', ')
  const session =
    pid === null ? 'a prepared transaction' : `process ${pid}${doing === '' ? '' : ` (${doing})`}`
  return is_advisory
    ? `${session} holds the lock of migrations`
    : `a lock was waited for in vain, and the oldest transaction on these tables is that of ${session}`
}

async function findHolder(client: pg.Client, advisoryLock: number): Promise<Holder | null> {
  const { rows } = await client.query<Holder>(
    `select l.pid, a.application_name as application, a.state, l.locktype = 'advisory' as is_advisory
     from pg_locks l
     left join pg_stat_activity a on a.pid = l.pid
     where l.granted and l.pid is distinct from pg_backend_pid()
       and l.database = (select oid from pg_database where datname = current_database())
       and case l.locktype
         when 'advisory' then (l.classid::bigint << 32) + l.objid::bigint = $1 and l.objsubid = 1
         when 'relation' then l.relation in (select oid from pg_class where relnamespace = 'public'::regnamespace)
         else false
       end
     order by l.locktype, a.xact_start limit 1`,
    [advisoryLock],
  )
  return rows[0] ?? null
}
