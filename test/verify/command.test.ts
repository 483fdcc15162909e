import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import t from 'tap'
import { database } from '../support/database.ts'
import { findFreePort } from '../support/free-port.ts'
import { program } from '../support/program.ts'
import { createInvariants } from '../../src/verify/invariants.ts'
import { breakable } from './broken.ts'

t.test('the command', async (t) => {
  const { url, pool, history, mend } = await breakable(t)
  const folder = t.testdir({ ledger: `${history.ledger.join('\n')}\n`, acks: `${history.acks.join('\n')}\n` })
  const files = ['--ledger', join(folder, 'ledger'), '--acks', join(folder, 'acks')]

  await t.test('ends with 0 and a line for each invariant when nothing differs', async (t) => {
    const { code, output, errors } = await run(url, files)
    t.equal(code, 0, output + errors)
    t.equal(
      output.split('\n').filter((line) => /^S\d+ +ok /.test(line)).length,
      Object.keys(createInvariants()).length,
    )
    t.match(output, /^clean: \d+ messages, \d+ events, as of /m)
  })

  await t.test('says what it cannot check without the files, and ends with 0', async (t) => {
    const { code, output } = await run(url, [])
    t.equal(code, 0)
    t.match(output, /^S20 - .*: not checked without --acks$/m)
    t.match(output, /^S21 - .*: not checked without --ledger$/m)
    t.match(output, /^S8 .*without --ledger, not what was sent/m)
  })

  await t.test('ends with 1 and names the message below its invariant when something differs', async (t) => {
    t.teardown(mend)
    await pool.query(`update message_states set status = 'failed' where transaction_id = 'refused'`)
    const { code, output } = await run(url, [])
    t.equal(code, 1)
    t.match(
      output,
      /^S4 +DIFFERS .*\n {6}refused version 4: message_states.status is failed, folding gives dead_letter$/m,
    )
  })

  await t.test('prints the same as one JSON object under --json', async (t) => {
    t.teardown(mend)
    await pool.query(`update message_states set status = 'failed' where transaction_id = 'refused'`)
    const { code, output } = await run(url, [...files, '--json'])
    t.equal(code, 1)
    const report = JSON.parse(output) as { clean: boolean; invariants: { id: string; named: unknown[] }[] }
    t.equal(report.clean, false)
    t.same(report.invariants.find(({ id }) => id === 'S4')?.named, [
      {
        transaction_id: 'refused',
        version: 4,
        what: 'message_states.status is failed, folding gives dead_letter',
      },
    ])
    t.match(report, { messages: Number, events: Number, not_yet_consumed: 0, open_effects: 0 })
  })

  await t.test('ends with 2 and one sentence for a file that cannot be read', async (t) => {
    const { code, output, errors } = await run(url, ['--ledger', join(folder, 'nowhere')])
    t.equal(code, 2)
    t.equal(output, '')
    t.match(errors, /^The ledger .*nowhere cannot be read: ENOENT.*\.\n$/)
  })

  await t.test('leaves the log as it was', async (t) => {
    const { rows } = await pool.query(
      `select e.* from message_events e except select * from saved.message_events`,
    )
    t.same(rows, [])
  })
})

t.test('ends with 2 and one sentence for a database that cannot be reached', async (t) => {
  const { code, errors } = await run(`postgresql://postgres@127.0.0.1:${await findFreePort()}/none`, [])
  t.equal(code, 2)
  t.match(errors, /^The database cannot be reached: .*ECONNREFUSED.*\.\n$/)
})

t.test('ends with 2 and one sentence for a database without the log', async (t) => {
  const { url } = await database(t, { empty: true })
  const { code, errors } = await run(url, [])
  t.equal(code, 2)
  t.match(errors, /^The database does not hold the log of this release \(.*\): start the service once\.\n$/)
})

t.test('ends with 2 and one sentence for a flag that it does not know', async (t) => {
  const { code, errors } = await run('postgresql://127.0.0.1/none', ['--legder', 'x'])
  t.equal(code, 2)
  t.equal(errors, `Unknown option '--legder'; --help lists the flags.\n`)
})

async function run(
  databaseUrl: string,
  flags: string[],
): Promise<{ code: number | null; output: string; errors: string }> {
  const child = spawn(process.execPath, [...program('commands/verify'), ...flags], {
    env: { ...process.env, DATABASE_URL: databaseUrl },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output: string[] = []
  const errors: string[] = []
  child.stdout.setEncoding('utf8').on('data', (text: string) => output.push(text))
  child.stderr.setEncoding('utf8').on('data', (text: string) => errors.push(text))
  await once(child, 'close')
  return { code: child.exitCode, output: output.join(''), errors: errors.join('') }
}
