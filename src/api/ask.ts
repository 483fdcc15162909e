import type { Pool, PoolClient } from 'pg'
import { reasonOf } from '../runtime/reason-of.ts'
import { late, within } from '../runtime/within.ts'

/** The database gave no answer, for whatever reason. The cause is for the log and not for the caller. */
export class DatabaseUnavailable extends Error {
  constructor(cause: unknown) {
    super(reasonOf(cause), { cause })
    this.name = 'DatabaseUnavailable'
  }
}

const askMsMax = 3_000

/**
 * Asks the database one thing, on a connection of its own, and gives up after `msMax`: the pool's own bounds are made for
 * the workers, and whoever asks here wants to hear within seconds that there is no database. A connection that failed or
 * did not answer in time is not used again.
 *
 * @throws DatabaseUnavailable
 */
export async function ask<Value>(
  database: Pool,
  read: (client: PoolClient) => Promise<Value>,
  msMax = askMsMax,
): Promise<Value> {
  const askedAt = performance.now()
  const bounded: Bounded = async (part) => {
    const answer = await within(part, askedAt + msMax - performance.now())
    if (answer === late) throw new Error(`no answer within ${msMax} ms`)
    return answer
  }
  try {
    const client = await connect(database, bounded)
    return await use(client, bounded(read(client)))
  } catch (error) {
    throw new DatabaseUnavailable(error)
  }
}

type Bounded = <Part>(part: Promise<Part>) => Promise<Part>

async function connect(database: Pool, bounded: Bounded): Promise<PoolClient> {
  const connecting = database.connect()
  try {
    return await bounded(connecting)
  } catch (error) {
    // A connection that comes too late goes back as it came.
    connecting.then(
      (client) => client.release(),
      () => undefined,
    )
    throw error
  }
}

/** Waits for what was begun on the connection, and gives it back; one whose statement failed or hangs is closed. */
async function use<Value>(client: PoolClient, value: Promise<Value>): Promise<Value> {
  // A connection that breaks rejects the statement on it and emits an error besides, which would end the process.
  const ignore = () => undefined
  client.on('error', ignore)
  try {
    const result = await value
    client.release()
    return result
  } catch (error) {
    client.release(true)
    throw error
  } finally {
    client.removeListener('error', ignore)
  }
}
