import { spawn } from 'node:child_process'
import { once } from 'node:events'
import t, { type Test } from 'tap'
import { isAlive, signal } from '../../src/embedded/postgres/process.ts'
import { setUpLine, type Line } from '../support/line.ts'
import { program } from '../support/program.ts'
import { until } from '../support/until.ts'

t.jobs = 2

const skip = process.platform === 'linux' ? false : "script's flags are those of util-linux"
const open = 20

/** Runs the service in a terminal of its own, until 20 requests are in flight. */
async function startInTerminal(
  t: Test,
  line: Line,
): Promise<{ pid: number; shown: () => string; close: () => void }> {
  const quoted = [process.execPath, ...program('main')].map((word) => `'${word.replaceAll("'", `'\\''`)}'`)
  const terminal = spawn('script', ['-q', '-f', '-c', `echo pid $$; exec ${quoted.join(' ')}`, '/dev/null'], {
    env: {
      PATH: process.env.PATH,
      SHELL: '/bin/sh',
      PORT: '0',
      NODE_ENV: 'test',
      ...line.settings,
      DOWNSTREAM_TIMEOUT: '20',
      LEASE: '30',
    },
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  let shown = ''
  terminal.stdout.setEncoding('utf8').on('data', (text: string) => (shown += text))
  const ended = once(terminal, 'exit')
  t.teardown(async () => {
    terminal.kill('SIGKILL')
    await ended
  })
  await until('the service to have started', () => shown.includes('"started"'))
  const pid = Number(/pid (\d+)/.exec(shown)?.[1])
  t.teardown(() => signal(pid, 'SIGKILL'))
  await line.produce(open)
  await until('all requests in flight', async () => (await line.ledger()).length === open)
  return { pid, shown: () => shown, close: () => terminal.kill('SIGKILL') }
}

async function hasDrained(t: Test, line: Line, pid: number): Promise<void> {
  await until('the service to have ended', () => !isAlive(pid))
  t.match(await line.counts(), { success: open, processing: 0 }, 'every outcome was waited for and stored')
  await line.isClean(t)
}

// As long as it takes to have all of them in flight and to send the signals, on a machine that is busy with other things.
const slow = ['--success', '1', '--latency', '5000']

t.test('a terminal that is closed drains the service', { buffered: true, skip }, async (t) => {
  const line = await setUpLine(t, slow)
  const service = await startInTerminal(t, line)
  service.close()
  await hasDrained(t, line, service.pid)
})

t.test(
  'Ctrl-C that arrives twice, as npm has it, drains the service',
  { buffered: true, skip },
  async (t) => {
    const line = await setUpLine(t, slow)
    const { pid, shown } = await startInTerminal(t, line)
    signal(pid, 'SIGINT')
    await until('the drain to have begun', () => shown().includes('"draining"'))
    signal(pid, 'SIGINT')
    await hasDrained(t, line, pid)
  },
)
