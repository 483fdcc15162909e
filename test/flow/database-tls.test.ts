import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, chown, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createServer } from 'node:tls'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { answer } from '../deliver/processor.ts'
import { startAnswering, type Answering } from '../support/answering.ts'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { setUpLine } from '../support/line.ts'
import { startOwnPostgres } from '../support/own-postgres.ts'
import { createRole } from '../support/roles.ts'
import { isReady, startReadyService, startService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

const certificates = makeCertificates(t)
const folder = t.testdir({ 'ca.pem': certificates.ca, 'stranger.pem': certificates.stranger.cert })
const trusted = { DATABASE_SSL: 'true', DATABASE_CA: join(folder, 'ca.pem') }
const nowhere = { KAFKA_BROKER: '127.0.0.1:1', DOWNSTREAM_URL: 'http://127.0.0.1:1/' }

const postgres = await startOwnPostgres(t)
await present(certificates.server)
await postgres.stop()
await postgres.restart({ ssl: 'on' })

/** PostgreSQL takes a key only if it is its user's, and nobody else's to read. */
async function present({ cert, key }: Pair): Promise<void> {
  const { uid, gid } = await stat(postgres.cluster)
  for (const [name, pem] of [
    ['server.crt', cert],
    ['server.key', key],
  ] as const) {
    const path = join(postgres.cluster, name)
    await writeFile(path, pem)
    await chmod(path, 0o600)
    await chown(path, uid, gid)
  }
}

async function run(tool: string, settings: Record<string, string>, ...flags: string[]): Promise<string> {
  const script = fileURLToPath(new URL(`../../src/commands/${tool}.ts`, import.meta.url))
  const child = spawn(process.execPath, ['--import', import.meta.resolve('tsx'), script, ...flags], {
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return `${tool} ${code}: ${output}`
}

/** Waits until the start has said twice why it waits, and answers that reason. */
async function reasonToWait(service: Service): Promise<unknown> {
  const lines = () => service.log.filter((each) => each.event === 'waiting for PostgreSQL')
  await until('two lines about PostgreSQL', () => lines().length >= 2)
  return lines()[1]!.reason
}

t.test('with its authority named, service and tools speak to PostgreSQL over TLS only', async (t) => {
  const line = await setUpLine(t, ['--success', '1'], { database: postgres })
  const settings = { ...line.settings, ...trusted }
  await startReadyService(t, settings)
  await line.produce(10)
  await line.settled(10)
  const { rows } = await postgres.pool.query<{ name: string; ssl: boolean }>(
    `select distinct split_part(application_name, ' ', 2) as name, ssl
     from pg_stat_activity join pg_stat_ssl using (pid)
     where application_name like 'transaction-queue-proxy%' order by 1`,
  )
  t.strictSame(rows, [
    { name: '', ssl: true },
    { name: 'listen', ssl: true },
  ])
  t.match(await run('verify', settings), /^verify 0: /)
  t.match(await run('rebuild', settings), /^rebuild 0: /)
  t.match(await run('epoch', settings, '--reason', 'none'), /^epoch 1: /)
  const mistaken = { ...settings, DATABASE_CA: join(folder, 'stranger.pem') }
  for (const tool of ['verify', 'rebuild', 'epoch'])
    t.match(
      await run(tool, mistaken, ...(tool === 'epoch' ? ['--reason', 'none'] : [])),
      /^\w+ 2: .*certificate/,
    )
})

t.test(
  'a certificate that is not trusted, one of another host, or a wrong password is waited for, with a sentence a try',
  async (t) => {
    const role = await createRole(t, postgres)
    const { password } = new URL(role.url)
    const settings = { ...nowhere, ...trusted, DATABASE_URL: role.url }
    const mistaken = await startService(t, { ...settings, DATABASE_CA: join(folder, 'stranger.pem') })
    t.match(
      await reasonToWait(mistaken),
      /^the server's certificate is not trusted \(.*\): name its authority in DATABASE_CA$/,
    )
    t.equal((await fetch(`${mistaken.url}/status`)).status, 503)

    const wrong = new URL(role.url)
    wrong.password = 'not-the-password'
    const stranger = await startService(t, { ...settings, DATABASE_URL: wrong.href })
    t.equal(await reasonToWait(stranger), `password authentication failed for user "${role.name}"`)

    await present(certificates.otherHost)
    await postgres.pool.query('select pg_reload_conf()')
    const elsewhere = await startService(t, settings)
    t.match(await reasonToWait(elsewhere), /^Hostname\/IP does not match certificate's altnames/)

    for (const service of [mistaken, stranger, elsewhere]) {
      service.kill('SIGTERM')
      t.equal(await service.ended, 0)
      const told = service.errors() + JSON.stringify(service.log)
      t.notOk(told.includes(password) || told.includes('not-the-password'), 'no password is told')
    }
  },
)

t.test(
  'certificates that are replaced on disk are used from the next connection on, with no restart',
  async (t) => {
    const later = makeCertificates(t)
    const files = t.testdir({ 'ca.pem': certificates.ca, 'processor.pem': certificates.ca })
    await present(certificates.server)
    await postgres.pool.query('select pg_reload_conf()')
    const line = await setUpLine(t, [], { database: postgres })
    const server = createServer(certificates.server)
    const behave: Answering['behave'] = (socket) => socket.write(answer('200 OK'))
    const processor = await startAnswering(t, line, () => ({ effect: true, behave }), { server })
    const service = await startReadyService(t, {
      ...line.settings,
      DATABASE_SSL: 'true',
      DATABASE_CA: join(files, 'ca.pem'),
      DOWNSTREAM_URL: processor.url.href,
      DOWNSTREAM_CA: join(files, 'processor.pem'),
    })
    const before = (await line.counts()).success
    await line.produce(5)
    await until('the first to be delivered', async () => (await line.counts()).success === before + 5)

    for (const name of ['ca.pem', 'processor.pem']) await writeFile(join(files, name), later.ca)
    server.setSecureContext(later.server)
    await present(later.server)
    await postgres.pool.query('select pg_reload_conf()')
    for (const socket of processor.sockets) socket.destroy()
    await postgres.pool.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name like 'transaction-queue-proxy%'`,
    )
    await line.produce(5)
    await until('the others to be delivered', async () => (await line.counts()).success === before + 10)
    await isReady(service)
    // Lines are gathered for a while before they are written.
    for (const side of ['database', 'downstream'])
      await until(`the line about the ${side}`, () =>
        service.log.some((line) => line.event === 'TLS files read again' && line.side === side),
      )
  },
)
