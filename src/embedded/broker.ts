import { once } from 'node:events'
import { parseArgs } from 'node:util'
import { nodeEnvironment } from '../config.ts'
import { openBroker } from './broker/broker.ts'
import { refuseInProduction } from './broker/refuse-in-production.ts'
import { serve } from './broker/serve.ts'

const usage = `Usage: node dist/embedded/broker.js --data DIR [--port 29092] [--host 127.0.0.1]

A small single-node broker that speaks Kafka's protocol, for development. Its data outlive kill -9, but not the machine.
`

// Whoever started the broker may be gone before it; then there is nobody to complain to.
process.stderr.on('error', () => undefined)

try {
  await run()
} catch (fault) {
  process.stderr.write(`${fault instanceof Error ? fault.message : String(fault)}\n`)
  process.exitCode = 1
}

async function run(): Promise<void> {
  const options = readOptions()
  if (options === 'help') {
    process.stdout.write(usage)
    return
  }
  const refusal = refuseInProduction(nodeEnvironment())
  if (refusal !== null) throw new Error(refusal)

  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  const broker = openBroker(options.dataDir)
  try {
    const listening = await serve(broker, options.host, options.port)
    process.stdout.write(`listening on ${listening.host}:${listening.port}\n`)
    await stopped
    await listening.close()
  } finally {
    broker.close()
  }
}

function readOptions(): { dataDir: string; host: string; port: number } | 'help' {
  const { values } = parseArgs({
    options: {
      port: { type: 'string', default: '29092' },
      data: { type: 'string' },
      host: { type: 'string', default: '127.0.0.1' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help) return 'help'
  const port = Number(values.port)
  if (!/^\d+$/.test(values.port) || port > 65535)
    throw new Error(`--port must be between 0 and 65535, not ${values.port}.`)
  if (values.data === undefined) throw new Error('--data must name the folder to keep the data in.')
  return { dataDir: values.data, host: values.host, port }
}
