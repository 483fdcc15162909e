import { spawnSync } from 'node:child_process'
import t from 'tap'
import { authenticate } from '../../src/api/access.ts'
import { Tokens } from '../../src/api/tokens.ts'
import { configure } from '../../src/config.ts'
import { program } from '../support/program.ts'

function run(...flags: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...program('commands/token'), ...flags], {
    encoding: 'utf8',
  })
  return { status, stdout, stderr }
}

t.test('the printed entry configures the printed token, and no token is made twice', async (t) => {
  const { status, stdout } = run('--name', 'alice', '--role', 'operator')
  t.equal(status, 0)
  const [token = ''] = /(?<=Bearer )\S+/.exec(stdout) ?? []
  const [entry = ''] = /alice:operator:\S+/.exec(stdout) ?? []
  const read = configure({ API_TOKENS: entry })
  if (!('config' in read)) return t.fail(read.faults.join(' '))
  t.strictSame(
    authenticate(
      { headers: { authorization: `Bearer ${token}` }, httpVersion: '1.1' },
      read.config.api,
      new Tokens(read.config.api.tokens),
    ),
    {
      name: 'alice',
      role: 'operator',
      token: entry.split(':')[2] ?? '',
    },
  )
  t.notMatch(entry, token, 'only its hash is configured')
  t.notMatch(run('--name', 'alice', '--role', 'operator').stdout, token)
})

t.test('a name or a role that could not be configured is refused in one sentence', (t) => {
  for (const [flags, sentence] of [
    [['--role', 'operator'], /^--name must be/],
    [['--name', 'a:b', '--role', 'operator'], /^--name must be/],
    [['--name', 'alice'], /^--role must be viewer, investigator or operator\.$/],
    [['--name', 'alice', '--role', 'root'], /^--role must be/],
    [['--nmae', 'alice'], /^Unknown option '--nmae'; --help lists/],
  ] as const) {
    const { status, stdout, stderr } = run(...flags)
    t.match({ status, stdout, stderr: stderr.trim() }, { status: 2, stdout: '', stderr: sentence })
  }
  t.match(run('--help'), { status: 0, stdout: /^Usage: npm run token/ })
  t.end()
})
