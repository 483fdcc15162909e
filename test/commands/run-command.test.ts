import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { program } from '../support/program.ts'

const root = new URL('../../', import.meta.url)
const packageFile = JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as {
  scripts: Record<string, string>
}

/** What `npm run NAME` of a script with flags of its own runs, without the build; the others hand theirs to a program of npm's. */
function findCommands(): { name: string; args: string[] }[] {
  return Object.entries(packageFile.scripts).flatMap(([name, line]) => {
    const built = /exec node .*dist\/(\S+)\.js$/.exec(line)?.[1]
    if (built !== undefined) return [{ name, args: program(built) }]
    const source = /exec .*?(\S+\.ts)$/.exec(line)?.[1]
    if (source === undefined) return []
    return [{ name, args: ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL(source, root))] }]
  })
}

function run(args: string[], ...flags: string[]) {
  const { status, stdout, stderr } = spawnSync(process.execPath, [...args, ...flags], {
    cwd: t.testdirName,
    encoding: 'utf8',
    // Nothing that it could reach, so that one which starts all the same fails soon and harms nobody.
    env: {
      PATH: process.env.PATH,
      DATABASE_URL: 'postgresql://postgres@127.0.0.1:1/nowhere',
      NODE_ENV: 'test',
    },
    timeout: 120_000,
  })
  return { status, stdout, stderr }
}

t.testdir()
const commands = findCommands()

t.test('all commands are found, and only programs of npm take flags of their own kind', (t) => {
  const others = Object.keys(packageFile.scripts).filter(
    (each) => !commands.some(({ name }) => name === each),
  )
  t.same(others.sort(), ['build', 'format', 'lint', 'types'])
  t.end()
})

for (const { name, args } of commands) {
  t.test(`npm run ${name}`, (t) => {
    for (const flag of name === 'token' ? ['--help', '-h'] : ['--help']) {
      const { status, stdout, stderr } = run(args, flag)
      t.match({ status, stderr }, { status: 0, stderr: '' }, flag)
      t.match(stdout, /^Usage: n[^\n]*\n\n[^]*--help +this text\n\nEnds with 0 [^]*2 if /, flag)
    }
    const { status, stdout, stderr } = run(args, '--no-such-flag')
    t.same({ status, stdout }, { status: 2, stdout: '' }, 'an unknown flag')
    t.equal(stderr, `Unknown option '--no-such-flag'; --help lists what there is.\n`)
    t.end()
  })
}
