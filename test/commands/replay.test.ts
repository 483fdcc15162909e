import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { readJob } from '../../src/log/read/read-jobs.ts'
import { store, storeDeadLetters } from '../api/service.ts'
import { database } from '../support/database.ts'
import { program } from '../support/program.ts'

async function run(url: string, ...flags: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [...program('commands/replay'), ...flags], {
    env: { PATH: process.env.PATH, DATABASE_URL: url, NODE_ENV: 'test' },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, output: output + errors }
}

t.test('a dry run prints the plan and the command that starts it', async (t) => {
  const { url, pool } = await database(t)
  await storeDeadLetters(pool, ['tx-1', 'tx-2'])
  await store(pool, ['record:transactions.incoming:0:2'], { rejection: 'The value is not JSON.' })
  const dry = await run(url, '--since', '2h', '--per-second', '2', '--operator', 'bob', '--dry-run')
  t.equal(dry.code, 0)
  t.match(
    dry.output,
    /^Plan 1: 3 open dead letters, frozen\. It can be started until \S+Z\.\n {2}by cause: refused 2, rejected_record 1\n {9}2 {2}HTTP 422\n {9}1 {2}The value is not JSON\.\n0 of them may have been paid: .+\nA replay skips what can never be sent, or was cancelled: rejected_record 1\.\n2 would be replayed, in 1 s at 2 a second\.\nStart it with: npm run replay -- --plan 1 --per-second 2 --operator bob --reason why\n$/,
  )
  t.equal(await readJob(pool, '1'), null)
  t.strictSame((await pool.query('select reason from replay_plans')).rows, [
    { reason: 'planned by npm run replay, no reason given' },
  ])
  t.match(await run(url, '--plan', '1', '--per-second', '2', '--operator', 'bob', '--reason', 'it is back'), {
    code: 0,
    output: 'Job 1 is started. `npx tqp jobs 1` shows how it stands.\n',
  })
  t.match(await readJob(pool, '1'), { actor: 'bob', reason: 'it is back', perSecond: 2, planned: '3' })
  t.match(await run(url, '--plan', '1', '--reason', 'again'), {
    code: 1,
    output: 'Plan 1 was started before.\n',
  })
  t.match(await run(url, '--plan', '99', '--reason', 'r'), { code: 1, output: /^There is no plan 99;/ })
})

t.test('without a dry run the plan is started at once', async (t) => {
  const { url, pool } = await database(t)
  await storeDeadLetters(pool, ['tx-1'])
  const stop = ['--stop-share', '0.5', '--stop-after', '10']
  t.match(await run(url, '--status-code', '422', '--cause', 'refused', '--reason', 'it is back', ...stop), {
    code: 0,
    output: /\n1 would be replayed, as fast as live payments leave room\.\nJob 1 is started\. /,
  })
  t.match(await readJob(pool, '1'), { stopWhen: { failedShare: 0.5, after: 10 }, planned: '1' })
  t.match(await run(url, '--status-code', '503', '--reason', 'r'), {
    code: 1,
    output: 'No open dead letter is like that.\n',
  })
})

t.test('a wrong flag changes nothing, and one sentence says what is wrong', async (t) => {
  const { url, pool } = await database(t)
  await storeDeadLetters(pool, ['tx-1'])
  for (const [flags, output] of [
    [['--since', '2h'], /^--reason must be one line/],
    [['--since', 'yesterday', '--dry-run'], /^--since must be a time/],
    [['--cause', 'bad', '--dry-run'], /^--cause must be one of/],
    [['--id-prefix', '', '--dry-run'], /^--id-prefix is empty/],
    [['--error-contains', '', '--dry-run'], /^--error-contains is empty/],
    [['--id', 'tx-1', '--id', '', '--dry-run'], /^--id is empty/],
    [['--outcome-unknown', 'maybe', '--dry-run'], /^--outcome-unknown must be true or false/],
    [['--status-code', 'x', '--dry-run'], /^--status-code must be a whole number/],
    [['--per-second', '0', '--dry-run'], /^--per-second must be/],
    [['--ramp-from', '5', '--dry-run'], /^--ramp-from must be/],
    [['--stop-share', '0.5', '--dry-run'], /^--stop-share must be/],
    [['--plan', '1', '--since', '2h', '--reason', 'r'], /^--plan names a plan/],
    [['--plan', 'x', '--reason', 'r'], /^--plan must be the number/],
  ] as const)
    t.match(await run(url, ...flags), { code: 2, output }, flags.join(' '))
  const { rowCount } = await pool.query('select from replay_plans')
  t.equal(rowCount, 0)
})
