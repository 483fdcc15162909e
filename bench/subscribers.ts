import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { produce } from '../src/kafka/test-topic/produce.ts'
import { readCpu, readMemory } from './measure.ts'
import { startParts, startService, type Parts } from './parts.ts'
import { subscribe, type Subscriber, type Transport } from './subscriber.ts'

const usage = `Usage: npm run bench:subscribers -- [--subscribers N] [--slow N] [--messages N] [--transport sse|ws|both] [--runs N] [--json F]

  --subscribers N  how many follow the whole log (default 1000)
  --slow N         how many of them never read, in every other run (default 10)
  --messages N     messages of a run, three events each (default 1000)
  --transport T    sse, ws, or half of each (default both)
  --runs N         pairs of runs, without and with the slow ones (default 2)
  --json F         writes the figures to F too
  --help           this text

Ends with 0 if every reader had every event, 1 if one had not, 2 if it could not run.
`

type Figures = {
  slow: number
  subscribers: number
  events: number
  complete: number
  seconds: number
  deliveriesPerSecond: number
  serviceMicrosecondsPerDelivery: number
  serviceMiBBefore: number
  serviceMiBMost: number
}

interface Flags {
  subscribers: string
  slow: string
  messages: string
  transport: string
  runs: string
  json?: string | undefined
}

async function run(values: Flags): Promise<number> {
  const subscribers = readCount('subscribers', values.subscribers)
  const slow = readCount('slow', values.slow, 0)
  const messages = readCount('messages', values.messages)
  const runs = readCount('runs', values.runs)
  const transports = readTransports(values.transport)
  const parts = await startParts()
  const all: Figures[] = []
  try {
    for (let run = 0; run < runs * 2; run++) {
      const figures = await measure(parts, {
        subscribers,
        slow: run % 2 === 0 ? 0 : slow,
        messages,
        transports,
      })
      process.stdout.write(`${JSON.stringify(figures)}\n`)
      all.push(figures)
    }
  } finally {
    await parts.stop()
  }
  const rate = (some: Figures[]) =>
    some.reduce((sum, each) => sum + each.deliveriesPerSecond, 0) / some.length
  const ratio = rate(all.filter((each) => each.slow > 0)) / rate(all.filter((each) => each.slow === 0))
  process.stdout.write(`with slow subscribers / without: ${ratio.toFixed(3)}\n`)
  if (values.json !== undefined) writeFileSync(values.json, `${JSON.stringify({ all, ratio }, null, 2)}\n`)
  return all.every((each) => each.complete === each.subscribers - each.slow)
    ? exitCodes.done
    : exitCodes.differs
}

function readTransports(text: string): Transport[] {
  if (text === 'both') return ['sse', 'ws']
  if (text !== 'sse' && text !== 'ws') throw new Error(`--transport must be sse, ws or both, not ${text}.`)
  return [text]
}

type Wanted = { subscribers: number; slow: number; messages: number; transports: Transport[] }

/** From the first delivery to the last, over all who read. The service's CPU includes the line that delivers the messages. */
async function measure(parts: Parts, { subscribers, slow, messages, transports }: Wanted): Promise<Figures> {
  const into = {
    brokers: parts.brokers.split(','),
    topic: parts.topic,
    rate: null,
    prefix: null,
    acksPath: null,
  }
  await produce({ ...into, count: 0 })
  const service = await startService(parts, { LOG_LEVEL: 'warn' })
  await untilReady(service.url)
  const readers: Subscriber[] = []
  for (let at = 0; at < subscribers; at++) {
    const transport = transports[at % transports.length] ?? 'sse'
    const subscriber = await subscribe(service.url, transport, at < slow)
    if (at >= slow) readers.push(subscriber)
  }
  const events = messages * 3
  const [cpuBefore, serviceMiBBefore] = [readCpu(parts, service.pid).service, readMemory(service.pid)]
  let serviceMiBMost = serviceMiBBefore
  const beganAt = performance.now()
  await produce({ ...into, count: messages })
  const deadline = performance.now() + 600_000
  while (readers.some(({ seen }) => seen < events) && performance.now() < deadline) {
    await sleep(100)
    serviceMiBMost = Math.max(serviceMiBMost, readMemory(service.pid))
  }
  const seconds = (performance.now() - beganAt) / 1_000
  const cpu = readCpu(parts, service.pid).service - cpuBefore
  const [first] = readers
  const complete = readers.filter(({ seen, sum }) => seen === events && sum === first?.sum).length
  await service.stop()
  const deliveries = events * readers.length
  return {
    slow,
    subscribers,
    events,
    complete,
    seconds: Number(seconds.toFixed(1)),
    deliveriesPerSecond: Math.round(deliveries / seconds),
    serviceMicrosecondsPerDelivery: Number(((cpu * 1e6) / deliveries).toFixed(1)),
    serviceMiBBefore: Math.round(serviceMiBBefore),
    serviceMiBMost: Math.round(serviceMiBMost),
  }
}

async function untilReady(url: string): Promise<void> {
  for (;;) {
    try {
      if ((await fetch(`${url}/readyz`)).ok) return
    } catch {
      // It does not listen yet.
    }
    await sleep(50)
  }
}

process.exitCode = await runCommand({
  usage,
  options: {
    subscribers: { type: 'string', default: '1000' },
    slow: { type: 'string', default: '10' },
    messages: { type: 'string', default: '1000' },
    transport: { type: 'string', default: 'both' },
    runs: { type: 'string', default: '2' },
    json: { type: 'string' },
  },
  run,
})
