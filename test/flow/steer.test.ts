import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { setUpLine, type Line } from '../support/line.ts'
import { program } from '../support/program.ts'
import { readMetric, startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

t.test(
  'an operator pauses and resumes a service at work, and sees a hold, its probes and its end',
  async (t) => {
    const line = await setUpLine(t, ['--success', '1'])
    const service = await startReadyService(t, { ...line.settings, HOLD_AFTER: '3', PROBE_EVERY: '0.2' })
    t.match(await ask(service, '{ destination { url state room limit } }'), {
      destination: { url: line.mock.url, state: 'FLOWING', room: 100, limit: 100 },
    })
    await steer(line, '--pause', '--reason', 'maintenance', '--until', '1h')
    await until(
      'the service to know',
      async () => (await ask(service, '{ destination { room } }')).destination.room === 0,
    )
    await line.produce(20)
    await until('the records to be stored', async () => (await line.counts()).pending === 20)
    t.match(await ask(service, '{ destination { state held room reason } }'), {
      destination: { state: 'PAUSED', held: '20', room: 0, reason: 'maintenance' },
    })
    const status = await fetch(`${service.url}/status`)
    t.equal(status.status, 200, 'the service is well')
    t.match(await status.json(), { destination: { state: 'paused', reason: 'maintenance' } })
    t.equal((await fetch(`${service.url}/readyz`)).status, 200)
    t.equal((await line.ledger()).length, 0, 'nothing was sent')
    await ask(service, 'mutation { resumeDestination(reason: "done") { __typename } }')
    t.match(await line.settled(20), { success: 20 })

    await line.mock.beginOutage(3)
    await line.produce(20)
    await until('a failed probe', async () => (await readProbes(service, 'failed')) > 0)
    t.match(await line.settled(40), { success: 40 })
    await until(
      'the destination to flow',
      async () => (await ask(service, '{ destination { state } }')).destination.state === 'FLOWING',
    )
    t.ok((await readProbes(service, 'answered')) >= 3)
    await line.isSentOnce(t)
    await line.isClean(t)
  },
)

type Answer = { destination: Record<string, unknown> }

async function ask(service: Service, query: string): Promise<Answer> {
  const reply = await fetch(`${service.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query }),
  })
  const { data } = (await reply.json()) as { data: Answer }
  return data
}

const readProbes = (service: Service, result: string): Promise<number> =>
  readMetric(service, `tqp_probes_total\\{result="${result}"\\}`)

async function steer(line: Line, ...flags: string[]): Promise<void> {
  const child = spawn(process.execPath, [...program('commands/destination'), ...flags], {
    env: { PATH: process.env.PATH, DATABASE_URL: line.settings.DATABASE_URL, NODE_ENV: 'test' },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [output, [code]] = await Promise.all([
    text(child.stdout),
    once(child, 'close') as Promise<[number | null]>,
  ])
  if (code !== 0) throw new Error(output)
}
