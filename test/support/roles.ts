import { randomBytes } from 'node:crypto'
import type { Test } from 'tap'
import type { TestDatabase } from './database.ts'

export interface Role {
  name: string
  /** The database's URL as this role. */
  url: string
}

/** A role of the test's own that may log in and nothing else. It goes, with all that it was granted, when the test ends. */
export async function createRole(
  t: Pick<Test, 'teardown'>,
  { pool, url }: TestDatabase,
  purpose = 'service',
): Promise<Role> {
  const name = `tqp_${purpose}_${process.pid}_${randomBytes(4).toString('hex')}`
  const password = randomBytes(8).toString('hex')
  await pool.query(`create role ${name} login password '${password}'`)
  t.teardown(async () => {
    await pool.query(`reassign owned by ${name} to current_user`)
    await pool.query(`drop owned by ${name}`)
    await pool.query(`drop role ${name}`)
  })
  const asRole = new URL(url)
  asRole.username = name
  asRole.password = password
  return { name, url: asRole.href }
}
