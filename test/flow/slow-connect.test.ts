import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { setUpLine, type Line } from '../support/line.ts'
import { program } from '../support/program.ts'
import { startReadyService } from '../support/service.ts'
import type { SlowNames } from '../support/slow-names.ts'
import { startSlowRelay } from '../support/slow-relay.ts'

const slowNames = new URL('../support/slow-names.ts', import.meta.url)

/** The line's settings with a name that is slow to connect to in place of each address. */
async function slowDown(t: Test, line: Line): Promise<Record<string, string>> {
  const names: SlowNames = {}
  const put = async (name: string, host: string, port: string): Promise<string> => {
    names[name] = await startSlowRelay(t, { host, port: Number(port) })
    return `${name}:${names[name].port}`
  }
  const database = new URL(line.settings.DATABASE_URL ?? '')
  const processor = new URL(line.settings.DOWNSTREAM_URL ?? '')
  const [host = '', port = ''] = line.brokers[0]?.split(':') ?? []
  database.host = await put('database.test', database.hostname, database.port)
  processor.host = await put('processor.test', processor.hostname, processor.port)
  return {
    ...line.settings,
    DATABASE_URL: database.href,
    DOWNSTREAM_URL: processor.href,
    DOWNSTREAM_TIMEOUT: '20',
    LEASE: '30',
    // Many that come back at once would fill the queue by themselves.
    MAX_CONCURRENT: '1',
    KAFKA_BROKER: await put('kafka.test', host, port),
    SLOW_NAMES: JSON.stringify(names),
    NODE_OPTIONS: `--import=${import.meta.resolve('tsx')} --import=${slowNames.href}`,
  }
}

async function run(tool: string, settings: Record<string, string>, ...flags: string[]): Promise<string> {
  const child = spawn(process.execPath, [...program(`commands/${tool}`), ...flags], {
    env: { PATH: process.env.PATH, ...settings },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  for (const stream of [child.stdout, child.stderr])
    stream.setEncoding('utf8').on('data', (text: string) => (output += text))
  const [code] = (await once(child, 'close')) as [number | null]
  return `${tool} ${code}: ${output}`
}

t.test(
  'names with two families, of which one leads nowhere and the other takes a second, are connected to',
  async (t) => {
    const line = await setUpLine(t, ['--success', '1'])
    const settings = await slowDown(t, line)
    t.match(
      await run('produce', settings, '--count', '20', '--acks', line.acksPath),
      /^produce 0: [^]*20 of 20 acknowledged/,
    )
    const service = await startReadyService(t, settings)
    t.match(await line.settled(20), { success: 20 })
    t.match(await line.events(), { attempt_started: 20, succeeded: 20, attempt_failed: undefined })
    t.strictSame(
      service.log.filter(({ event }) => /^(?:waiting for|listener cannot connect)/.test(String(event))),
      [],
      'the first try of each connects',
    )
    t.match(await run('verify', settings), /^verify 0: /)
    t.match(await run('rebuild', settings), /^rebuild 0: /)
    t.match(await run('epoch', settings, '--reason', 'none'), /^epoch 1: The log's positions/)
    const decision = ['--partition', '0', '--accept-gap', '--reason', 'none']
    t.match(await run('partition', settings, ...decision), /^partition 1: .* is not stopped/)
  },
)
