import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { createDeliverer, type Deliverer } from '../src/deliver/create-deliverer.ts'
import { testTransaction } from '../src/kafka/test-topic/test-transaction.ts'
import { idempotencyKey } from '../src/message/idempotency-key.ts'
import { Tls } from '../src/runtime/tls.ts'
import { describeMachine, readCpuNs } from './measure.ts'
import { startProcessor } from './parts.ts'

const usage = `Usage: npm run bench:deliver -- [--count N] [--slice N] [--steady] [--connections N] [--runs N]

What one HTTP request costs the service, alone: CPU microseconds of this process for each request that src/deliver makes to a processor in another
process, which costs next to nothing. The least of the runs is the one to compare.

  --count N        requests of each run (default 60000)
  --slice N        requests that are handed over at once (default 500); the next slice comes when all have their outcome
  --steady         another request instead, whenever one has its outcome
  --connections N  at most (default 505)
  --runs N         (default 5)
  --help           this text

Ends with 0 if every request was accepted, 1 if one was not, 2 if it could not run.
`

interface Flags {
  count: string
  slice: string
  steady: boolean
  connections: string
  runs: string
}

type Delivery = Parameters<Deliverer['deliver']>[0]
type Work = { deliveries: Delivery[]; slice: number; steady: boolean }

async function run(values: Flags): Promise<number> {
  const count = readCount('count', values.count)
  const work = {
    deliveries: Array.from({ length: count }, (_, at) => makeDelivery(`bench-${at}`)),
    slice: readCount('slice', values.slice),
    steady: values.steady,
  }
  const connections = readCount('connections', values.connections)
  const runs = readCount('runs', values.runs)
  const processor = await startProcessor()
  const deliverer = createDeliverer({
    url: new URL(processor.url),
    timeoutMs: 30_000,
    connections,
    headers: {},
    statuses: { retryStatuses: (statusCode) => statusCode >= 500, unknownStatuses: () => false },
    tls: new Tls(() => ({ ca: null, cert: null, key: null })),
  })
  process.stdout.write(`${describeMachine()}\n`)
  let accepted = 0
  try {
    for (let round = 0; round < runs; round++) {
      const from = { ours: readCpuNs(process.pid), theirs: readCpuNs(processor.pid), at: performance.now() }
      const measured = await send(deliverer, work)
      accepted += measured.accepted
      const each = (nanoseconds: number): string => (nanoseconds / 1_000 / count).toFixed(1)
      process.stdout.write(
        `a request: ${each(readCpuNs(process.pid) - from.ours)} µs here, ${each(readCpuNs(processor.pid) - from.theirs)} µs in the processor; ` +
          `${Math.round((count * 1_000) / (performance.now() - from.at))} a second, ${measured.connections} connections\n`,
      )
    }
  } finally {
    await deliverer.close()
    await processor.stop()
  }
  return accepted === count * runs ? exitCodes.done : exitCodes.differs
}

/** The most connections that were open, seen at each slice's end. */
async function send(
  deliverer: Deliverer,
  { deliveries, slice, steady }: Work,
): Promise<{ accepted: number; connections: number }> {
  let begun = 0
  let accepted = 0
  let connections = 0
  const sendNext = async () => {
    const delivery = deliveries[begun++]
    if (delivery === undefined) return
    const outcome = await deliverer.deliver(delivery, performance.now() + 30_000)
    if (outcome.kind === 'accepted') accepted += 1
  }
  const sendMany = async () => {
    while (begun < deliveries.length) await sendNext()
  }
  do {
    await Promise.all(Array.from({ length: slice }, steady ? sendMany : sendNext))
    connections = Math.max(connections, openSockets())
  } while (begun < deliveries.length)
  return { accepted, connections }
}

function makeDelivery(id: string): Delivery {
  return { body: testTransaction(id), idempotencyKey: idempotencyKey(id), attempt: 1, traceparent: null }
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((each) => each === 'TCPSocketWrap').length
}

process.exitCode = await runCommand({
  usage,
  options: {
    count: { type: 'string', default: '60000' },
    slice: { type: 'string', default: '500' },
    steady: { type: 'boolean', default: false },
    connections: { type: 'string', default: '505' },
    runs: { type: 'string', default: '5' },
  },
  run,
})
