import { once } from 'node:events'
import { exitCodes, runCommand } from '../commands/run-command.ts'
import { nodeEnvironment } from '../config.ts'
import { openBroker } from './broker/broker.ts'
import { refuseInProduction } from './broker/refuse-in-production.ts'
import { serve } from './broker/serve.ts'

const usage = `Usage: node dist/embedded/broker.js --data DIR [--port 29092] [--host 127.0.0.1]

A small single-node broker that speaks Kafka's protocol, for development. Its data survive kill -9, but not a power cut.

  --help  this text

Ends with 0 on SIGTERM or SIGINT, 2 if it could not run.
`

// The process that started the broker may have ended before it. Then nobody reads stderr.
process.stderr.on('error', () => undefined)

interface Flags {
  port: string
  data?: string | undefined
  host: string
}

async function run({ port, data, host }: Flags): Promise<number> {
  if (data === undefined) throw new Error('--data must name the folder to keep the data in.')
  const refusal = refuseInProduction(nodeEnvironment())
  if (refusal !== null) throw new Error(refusal)

  const stopped = Promise.race([once(process, 'SIGTERM'), once(process, 'SIGINT')])
  const broker = openBroker(data)
  try {
    const listening = await serve(broker, host, readPort(port))
    process.stdout.write(`listening on ${listening.host}:${listening.port}\n`)
    await stopped
    await listening.close()
    return exitCodes.done
  } finally {
    broker.close()
  }
}

function readPort(text: string): number {
  const port = Number(text)
  if (!/^\d+$/.test(text) || port > 65535) throw new Error(`--port must be between 0 and 65535, not ${text}.`)
  return port
}

process.exitCode = await runCommand({
  usage,
  options: {
    port: { type: 'string', default: '29092' },
    data: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
  },
  run,
})
