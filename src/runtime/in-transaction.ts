import type pg from 'pg'

export async function inTransaction(client: pg.Client, act: () => Promise<void>): Promise<void> {
  await client.query('begin')
  try {
    await act()
    await client.query('commit')
  } catch (error) {
    // Where the connection is gone there is nothing to roll back, and the first error is the one that tells why.
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}
