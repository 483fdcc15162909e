import type { Pool, PoolClient } from 'pg'
import { reasonOf } from '../runtime/reason-of.ts'

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
  let isOver = false
  let timer: NodeJS.Timeout | undefined
  const over = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      isOver = true
      reject(new Error(`no answer within ${msMax} ms`))
    }, msMax)
  })
  // A connection that comes too late goes back as it came.
  const connecting = database.connect().then((client) => {
    if (isOver) client.release()
    return client
  })
  try {
    const client = await Promise.race([connecting, over])
    return await use(client, Promise.race([read(client), over]))
  } catch (error) {
    throw new DatabaseUnavailable(error)
  } finally {
    clearTimeout(timer)
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
