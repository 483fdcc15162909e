import type { ClientBase } from 'pg'

/**
 * Refuses a new connection to a standby, for the pool, so that after a failover no connection is kept to a server that may answer
 * questions for ever and never takes an event: the next one finds the primary, once the name leads there.
 */
export function refuseStandby(client: ClientBase, done: (fault?: Error) => void): void {
  // A connection that breaks fails the query on it and emits an error besides, which nobody else listens to yet.
  const ignore = () => undefined
  client.on('error', ignore)
  const end = (fault?: Error) => {
    client.removeListener('error', ignore)
    done(fault)
  }
  client.query<{ is_standby: boolean }>('select pg_is_in_recovery() as is_standby').then(
    ({ rows }) => end(rows[0]?.is_standby === true ? new Error(refusal) : undefined),
    (error: unknown) => end(error instanceof Error ? error : new Error(String(error))),
  )
}

const refusal = 'the server is a standby, which cannot be written to: promote it, or name the primary'
