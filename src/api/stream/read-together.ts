import DataLoader from 'dataloader'
import type { Pool, PoolClient } from 'pg'
import { ask } from '../ask.ts'

/**
 * Reads in one statement what is asked for in the same turn, as all subscribers do when something changes; nothing is remembered beyond it.
 *
 * @param read reads the values of these keys; those that there are not are left out
 */
export function readTogether<Value>(
  database: Pool,
  read: (client: PoolClient, keys: readonly string[]) => Promise<readonly Value[]>,
  keyOf: (value: Value) => string,
): (key: string) => Promise<Value | null> {
  const loader = new DataLoader<string, Value | null>(
    async (keys) => {
      const values = await ask(database, (client) => read(client, [...new Set(keys)]))
      const found = new Map(values.map((value) => [keyOf(value), value]))
      return keys.map((key) => found.get(key) ?? null)
    },
    { cache: false },
  )
  return (key) => loader.load(key)
}
