import type pg from 'pg'

export async function inTransaction<T>(client: pg.Client, act: () => Promise<T>): Promise<T> {
  await client.query('begin')
  try {
    const answer = await act()
    await client.query('commit')
    return answer
  } catch (error) {
    // Where the connection is gone there is nothing to roll back, and the first error is the one that tells why.
    await client.query('rollback').catch(() => undefined)
    throw error
  }
}
