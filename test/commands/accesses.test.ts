import { execFile } from 'node:child_process'
import t, { type Test } from 'tap'
import { createRole } from '../support/roles.ts'
import { migrate } from '../../src/runtime/migrate.ts'
import { database, type TestDatabase } from '../support/database.ts'
import { program } from '../support/program.ts'
import type { Ended } from './commands.ts'

const password = 'password-that-is-secret'

function run(command: string, url: string, ...flags: string[]): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...program(`commands/${command}`), ...flags],
      { env: { PATH: process.env.PATH, NODE_ENV: 'test', DATABASE_URL: url, KAFKA_BROKER: '127.0.0.1:1' } },
      (_, output, errors) => resolve({ code: child.exitCode, output, errors }),
    )
  })
}

async function rowsOf({ pool }: TestDatabase) {
  const { rows } = await pool.query<{
    access: string
    kind: string
    name: string
    actor: string
    database_user: string
    started: string | null
    details: { flags?: Record<string, unknown>; code?: number; host?: string }
  }>('select * from accesses order by access')
  return rows
}

t.test(
  'each command leaves its start with its flags and author, and its end with its exit code',
  async (t: Test) => {
    const own = await database(t)
    const role = await createRole(t, own)
    await migrate({ connectionString: own.url }, role.name)
    const cases: [command: string, code: number, ...flags: string[]][] = [
      ['verify', 0, '--json'],
      ['rebuild', 0],
      ['epoch', 1, '--reason', 'because', '--operator', 'alice'],
      ['destination', 0, '--pause', '--reason', 'because', '--operator', 'alice'],
      ['replay', 1, '--cause', 'refused', '--reason', 'because', '--operator', 'alice'],
      ['token', 0, '--name', 'bob', '--role', 'investigator'],
      ['archive', 2, '--before', '400d', '--dry-run', '--operator', 'alice'],
      [
        'partition',
        2,
        '--partition',
        '0',
        '--retry',
        '--reason',
        'because',
        '--operator',
        'alice',
        '--topic',
        'none',
      ],
      ['produce', 1, '--brokers', 'user:secret@127.0.0.1:x', '--count', '1'],
    ]
    const printed = new Map<string, string>()
    for (const [command, code, ...flags] of cases) {
      // As the service's own role would, where that is enough.
      const url = ['epoch', 'verify', 'rebuild'].includes(command) ? own.url : role.url
      const ended = await run(command, url, ...flags)
      if (command !== 'partition') t.equal(ended.code, code, `${command} ${ended.errors}`)
      printed.set(command, ended.output)
      const rows = (await rowsOf(own)).slice(-2)
      t.match(
        rows,
        [
          { kind: 'command_started', name: command, details: { host: /./ } },
          {
            kind: 'command_ended',
            name: command,
            started: rows[0]!.access,
            details: { code: ended.code ?? 0 },
          },
        ],
        command,
      )
      if (flags.includes('alice'))
        t.match(rows, [{ actor: 'alice', details: { flags: { operator: 'alice' } } }, { actor: 'alice' }])
      if (url === role.url) t.match(rows, [{ database_user: role.name }, { database_user: role.name }])
    }
    const [token = ''] = /(?<=Bearer )\S+/.exec(printed.get('token') ?? '') ?? []
    t.not(token, '')
    t.notMatch(JSON.stringify(await rowsOf(own)), token)
    t.equal((await rowsOf(own)).length, 2 * cases.length)
    for (const flag of ['--help', '--unknown']) await run('rebuild', own.url, flag)
    t.equal((await rowsOf(own)).length, 2 * cases.length, 'a command that is not run leaves nothing')
  },
)

t.test('secrets in a flag are not recorded', async (t) => {
  const own = await database(t)
  await run('verify', own.url, '--ledger', `//user:p@x/${password}@host/ledger?token=${password}`)
  const text = JSON.stringify(await rowsOf(own))
  t.match(text, 'ledger')
  t.notMatch(text, password)
})

t.test('a flag that is cut in the middle of a character is recorded all the same', async (t) => {
  const own = await database(t)
  const { errors } = await run('epoch', own.url, '--reason', `${'x'.repeat(499)}😀`)
  t.notMatch(errors, 'not recorded')
  t.match(await rowsOf(own), [{ details: { flags: { reason: 'x'.repeat(499) } } }, { kind: 'command_ended' }])
})

t.test('a command that cannot be recorded runs and ends as ever, and says so', async (t) => {
  const nowhere = `postgresql://postgres:${password}@127.0.0.1:1/nowhere`
  const made = await run('token', nowhere, '--name', 'bob', '--role', 'viewer')
  t.match(made, {
    code: 0,
    output: /Bearer/,
    errors: /^This command is not recorded among the accesses: .*ECONNREFUSED/,
  })
  const checked = await run('verify', nowhere)
  t.match(checked, { code: 2, output: '' })
  t.equal(checked.errors.trim().split('\n').length, 1, 'where it fails, its own sentence is all')
  t.notMatch(made.errors + checked.errors, password)
  const { url } = await database(t, { empty: true })
  t.match(await run('token', url, '--name', 'bob', '--role', 'viewer'), {
    code: 0,
    errors: /does not hold the log of this release/,
  })
})
