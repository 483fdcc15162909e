import { execFileSync, spawnSync } from 'node:child_process'
import { chmod, cp, mkdtemp, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { program } from '../support/program.ts'
import { isReady, startService } from '../support/service.ts'
import { until } from '../support/until.ts'

const root = fileURLToPath(new URL('../../', import.meta.url))
// Without what tap adds to each Node that a test starts: it writes into the checkout, and throws where it may not.
const nobody = [
  ...['setpriv', '--reuid=65534', '--regid=65534', '--clear-groups'],
  ...['env', '--unset=NODE_OPTIONS'],
]

t.test(
  'with 256 file descriptors every transaction is delivered, and the want of them is told',
  { skip: works(['prlimit', '--nofile=256', 'true']) ? false : 'prlimit (util-linux) is not there' },
  async (t) => {
    const line = await setUpLine(t, ['--success', '1', '--latency', '300'])
    const service = await startService(
      t,
      {
        ...line.settings,
        MAX_CONCURRENT: '500',
        MAX_CONCURRENT_RETRIES: '50',
        MAX_RETRIES: '50',
        DOWNSTREAM_TIMEOUT: '10',
        LEASE: '12',
        LOG_LEVEL: 'info',
      },
      undefined,
      ['prlimit', '--nofile=256', process.execPath, ...program('main')],
    )
    await isReady(service)
    await line.produce(1_500)
    t.match(await line.settled(1_500), { success: 1_500, dead_letter: 0 })
    await until('the reason to be told', () =>
      service.log.some(
        ({ event, reason }) => event === 'attempt' && /EMFILE|too many open files/.test(String(reason)),
      ),
    )
    t.match(
      service.log.find(({ event }) => /^few file descriptors/.test(String(event))),
      { limit: 256, wanted: 700 },
    )
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)

t.test(
  'what is built runs as nobody, from a folder with a space and an umlaut that it cannot write to',
  { skip: withoutNobody() },
  async (t) => {
    const folder = await mkdtemp(join(tmpdir(), 'tqp für alle '))
    t.teardown(() => rm(folder, { recursive: true, force: true }))
    await chmod(folder, 0o755)
    for (const each of ['migrations', 'package.json'])
      await cp(join(root, each), join(folder, each), { recursive: true })
    await symlink(join(root, 'node_modules'), join(folder, 'node_modules'))
    await build(join(folder, 'dist'))
    const line = await setUpLine(t, ['--success', '1'])
    const run = (name: string) => [...nobody, process.execPath, join(folder, `dist/${name}.js`)]
    const service = await startService(t, line.settings, undefined, run('main'))
    await isReady(service)
    await line.produce(20)
    t.match(await line.settled(20), { success: 20 })
    service.kill('SIGTERM')
    t.equal(await service.ended, 0)

    const [file = '', ...args] = run('commands/verify')
    const checked = spawnSync(file, args, {
      env: { PATH: process.env.PATH, DATABASE_URL: line.settings.DATABASE_URL },
      encoding: 'utf8',
    })
    t.equal(checked.status, 0, checked.stdout + checked.stderr)
  },
)

/** What the gate has built, where it has. */
async function build(folder: string): Promise<void> {
  if (process.env.TEST_BUILT) return cp(join(root, 'dist'), folder, { recursive: true })
  const compiler = join(root, 'node_modules/typescript/bin/tsc')
  execFileSync(process.execPath, [compiler, '-p', join(root, 'tsconfig.build.json'), '--outDir', folder])
}

function works([file = '', ...args]: readonly string[]): boolean {
  return spawnSync(file, args).status === 0
}

function withoutNobody(): string | false {
  if (process.getuid?.() !== 0) return 'the tests do not run as root, and cannot be somebody else'
  const canRead = works([
    ...nobody,
    'test',
    '-r',
    join(root, 'node_modules/pg/package.json'),
    '-a',
    '-x',
    process.execPath,
  ])
  return canRead ? false : 'nobody cannot read this checkout, or setpriv (util-linux) is not there'
}
