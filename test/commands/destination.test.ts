import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { userInfo } from 'node:os'
import t from 'tap'
import { database } from '../support/database.ts'
import { program } from '../support/program.ts'
import { hold } from '../api/destination.ts'

async function run(url: string, ...flags: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(process.execPath, [...program('commands/destination'), ...flags], {
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

t.test('an operator pauses and resumes, and sees how the destination stands', async (t) => {
  const { url, pool } = await database(t)
  t.match(await run(url), { code: 0, output: /^Destination default is flowing since \S+Z\.\n$/ })
  t.match(await run(url, '--resume', '--reason', 'too early'), {
    code: 1,
    output: /^There is nothing to resume: destination default is flowing\.\n$/,
  })
  await hold(pool, ['failed-1', 'failed-2'])
  t.match(await run(url), {
    code: 0,
    output:
      /is held since .*\nThe next probe may start at .*\n2 messages wait\.\nlast decisions:\n {2}\S+Z {2}held, by instance-1\/guard: 2 failures in a row, the last one: HTTP 503\n$/,
  })
  const me = userInfo().username
  t.match(await run(url, '--pause', '--reason', ' maintenance ', '--until', '30m'), {
    code: 0,
    output: new RegExp(
      `^Destination default is paused until \\S+Z\\. Recorded as decided by ${me}: maintenance\n$`,
    ),
  })
  const { rows } = await pool.query(
    `select state, cause, actor, reason, round(extract(epoch from until - recorded_at))::int as seconds
      from destination_decisions where decision = 2`,
  )
  t.strictSame(rows, [
    { state: 'paused', cause: 'operator', actor: me, reason: 'maintenance', seconds: 1_800 },
  ])
  t.match(await run(url, '--pause', '--reason', 'mine', '--operator', 'bob'), {
    code: 1,
    output: new RegExp(`^Destination default is paused since \\S+Z, until \\S+Z, by ${me}: maintenance\n$`),
  })
  t.match(await run(url, '--resume', '--reason', 'done', '--operator', 'bob'), {
    code: 0,
    output: /^Destination default is ramping\. Recorded as decided by bob: done\n$/,
  })
  t.match(await run(url, '--pause', '--reason', 'x', '--until', '2999-01-01T00:00:00+01:00'), {
    code: 0,
    output: /until 2998-12-31T23:00:00\.000000Z\./,
  })
  t.match(await run(url), {
    code: 0,
    output: /The pause ends at 2998-12-31T23:00:00\.000000Z\.\n2 messages wait\.\n/,
  })
})

t.test('a limit is set, told and taken away', async (t) => {
  const { url } = await database(t)
  t.match(await run(url, '--rate', '12.5', '--reason', 'a slow night', '--operator', 'alice'), {
    code: 0,
    output: /^The limit of destination default is set\. Recorded as decided by alice: a slow night\n$/,
  })
  t.match(await run(url), {
    code: 0,
    output:
      /\nAt most 12\.5 attempts a second start, and 3 at once\.\nlast decisions:\n .+Z {2}12\.5 a second, by alice: a slow night\n/,
  })
  t.match(await run(url, '--rate', '12.5', '--burst', '3', '--reason', 'again'), {
    code: 1,
    output: /^Destination default has this limit already since .+Z, by alice: a slow night\n$/,
  })
  t.match(await run(url, '--rate', '0', '--reason', 'done', '--operator', 'bob'), {
    code: 0,
    output: 'The limit of destination default is taken away. Recorded as decided by bob: done\n',
  })
  t.match(await run(url), { output: /Z {2}no limit, by bob: done\n/ })
})

t.test('what makes no sense is refused in one sentence, and nothing is recorded', async (t) => {
  const { url, pool } = await database(t)
  for (const [flags, code, said] of [
    [['--pause'], 2, /^--reason must be one line of 1 to 2048 bytes/],
    [['--pause', '--reason', 'a\nb'], 2, /^--reason must be/],
    [['--pause', '--reason', '\u001b[2J'], 2, /^--reason must be/],
    [['--resume', '--reason', 'x'.repeat(2_049)], 2, /^--reason must be/],
    [['--pause', '--reason', 'x', '--operator', ''], 2, /^--operator must be/],
    [['--pause', '--resume', '--reason', 'x'], 2, /^Give at most one of/],
    [['--resume', '--reason', 'x', '--until', '5m'], 2, /^--until belongs to --pause/],
    [['--pause', '--reason', 'x', '--until', 'tomorrow'], 2, /^--until must be a time with its zone/],
    [['--pause', '--reason', 'x', '--until', '0'], 2, /^--until must be/],
    [['--pause', '--reason', 'x', '--until', '99999999d'], 2, /^--until must be/],
    [['--reason', 'x'], 2, /^--reason and --operator belong to/],
    [['--speed', '5'], 2, /--help lists the flags/],
    [['--rate', '5'], 2, /^--reason must be/],
    [['--rate', '5', '--pause', '--reason', 'x'], 2, /^Give at most one of/],
    [['--burst', '5', '--reason', 'x'], 2, /^--burst belongs to --rate/],
    ...['0.001', '1e3', 'x', ''].map(
      (rate) => [['--rate', rate, '--reason', 'x'], 2, /^--rate must be 0, or a number from/] as const,
    ),
    [['--rate', '5', '--burst', '0', '--reason', 'x'], 2, /^--rate must be 0/],
    [['--rate', '0', '--burst', '5', '--reason', 'x'], 2, /^--rate must be 0/],
    [['--rate', '0', '--reason', 'x'], 1, /^Destination default has this limit already\./],
    [['--pause', '--reason', 'x', '--until', '2020-01-01T00:00:00Z'], 1, /^The pause would be over already/],
    [['--pause', '--reason', 'x', '--name', 'other'], 1, /^There is no destination "other"\./],
    [['--name', 'other'], 1, /^There is no destination "other"\./],
  ] as const) {
    const ran = await run(url, ...flags)
    t.match(ran, { code, output: said }, flags.join(' ').slice(0, 60))
    t.equal(ran.output.split('\n').length, 2, 'one sentence')
  }
  t.equal((await pool.query('select from destination_decisions')).rowCount, 0)
  t.match(await run('postgresql://postgres@127.0.0.1:1/nowhere', '--pause', '--reason', 'x'), { code: 2 })
})

t.test('whoever cannot reach the database is told that it is the database', async (t) => {
  t.match(await run('postgresql://postgres@127.0.0.1:1/nowhere'), {
    code: 2,
    output: /^The database cannot be reached: connect ECONNREFUSED 127\.0\.0\.1:1\.\n$/,
  })
})
