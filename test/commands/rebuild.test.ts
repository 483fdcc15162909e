import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { storeDeadLetters } from '../api/service.ts'
import { database } from '../support/database.ts'
import { program } from '../support/program.ts'

function start(url: string) {
  return spawn(process.execPath, program('commands/rebuild'), {
    env: { PATH: process.env.PATH, DATABASE_URL: url, NODE_ENV: 'test' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

t.test(
  'it repairs to the end, whether anybody reads on or not, and no terminal obeys what it prints',
  async (t) => {
    const { url, pool } = await database(t)
    await storeDeadLetters(
      pool,
      Array.from({ length: 2_000 }, (_, at) => `tx-${at}`),
    )
    await pool.query(`update message_states set error_message = E'\\x1b[2Jgone'`)
    const unread = start(url)
    unread.stdout.destroy()
    const [errors, [code]] = await Promise.all([
      text(unread.stderr),
      once(unread, 'close') as Promise<[number | null]>,
    ])
    t.strictSame({ code, errors }, { code: 1, errors: '' })
    await pool.query(`update message_states set error_message = E'\\x1b[2Jgone' where message_id = 1`)
    const read = start(url)
    const [output, [again]] = await Promise.all([
      text(read.stdout),
      once(read, 'close') as Promise<[number | null]>,
    ])
    t.equal(again, 1)
    t.equal(
      output,
      'message 1 (tx-0): error_message was \\u{1b}[2Jgone, is HTTP 422; repaired\n1 differences from the log.\n',
    )
  },
)
