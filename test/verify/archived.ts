import { execFile } from 'node:child_process'
import type { Pool } from 'pg'
import type { Test } from 'tap'
import { makeSegments } from '../../src/log/server/make-segments.ts'
import { database, type TestDatabase } from '../support/database.ts'
import { program } from '../support/program.ts'
import { makeSmallSegments } from '../support/segments.ts'
import { accepted, refused, writeHistory, type History } from './history.ts'

/** The archives of the first two segments. */
export const first = 'segment-000001-messages-1-30'
export const second = 'segment-000002-messages-31-60'

export type Ended = { code: number | null; signal: string | null; output: string; errors: string }

/**
 * A log of three segments of thirty messages and a fourth: the first two terminal, a pending message in the third.
 *
 * @param given a migrated and empty database in place of one of the test's own
 */
export async function fill(
  t: Test,
  given?: TestDatabase,
): Promise<{ url: string; pool: Pool; history: History; to: string }> {
  const { url, pool } = given ?? (await database(t))
  await makeSmallSegments(pool, 30)
  // The history reaches into the second segment, and only a start or a sweep would make that one so small.
  await pool.query(`select setval('message_ids', 30)`)
  await makeSegments(pool, 30)
  await pool.query(`select setval('message_ids', 1, false)`)
  const history = await writeHistory(pool)
  await makeSegments(pool, 30)
  while ((await lastId(pool)) < 60) {
    const [claim] = await history.receive([`more ${await lastId(pool)}`], { room: 1 })
    await history.deliver(claim!, (await lastId(pool)) % 2 === 0 ? accepted : refused)
    await makeSegments(pool, 30)
  }
  // What was left waiting in the first two is delivered.
  await history.decide('kept on hold', 'release')
  for (;;) {
    const { rowCount } = await pool.query(
      `select from message_states where message_id <= 60 and status = 'pending'`,
    )
    if (rowCount === 0) break
    await history.deliver(await history.claim('fresh'), accepted)
  }
  await history.receive(['waits', ...Array.from({ length: 34 }, (_, at) => `later ${at}`)])
  await makeSegments(pool, 30)
  return { url, pool, history, to: t.testdir() }
}

async function lastId(pool: Pool): Promise<number> {
  const { rows } = await pool.query<{ id: string }>('select max(message_id) as id from message_events')
  return Number(rows[0]!.id)
}

/** @param preload a module's text that runs in the command before it does */
export async function archive(
  url: string,
  flags: string[],
  failpoint = '',
  preload: string | null = null,
): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [
        ...(preload === null ? [] : [`--import=data:text/javascript,${encodeURIComponent(preload)}`]),
        ...program('commands/archive'),
        ...flags,
      ],
      {
        env: { PATH: process.env.PATH, DATABASE_URL: url, NODE_ENV: 'test', FAILPOINT: failpoint },
        timeout: 240_000,
      },
      (_, output, errors) => resolve({ code: child.exitCode, signal: child.signalCode, output, errors }),
    )
  })
}
