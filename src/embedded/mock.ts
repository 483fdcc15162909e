import { exitCodes, runCommand } from '../commands/run-command.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { serveLean } from './mock/serve-lean.ts'
import { flags, readOptions, usage, type Options } from './mock/options.ts'
import { serve, type Serving } from './mock/serve.ts'

/** The mock processor as a separate process: `npm run mock`, and a part of the embedded mode. */
async function run(values: Parameters<typeof readOptions>[0]): Promise<number> {
  const options = readOptions(values)
  const serving = options.lean ? await startLean(options) : await serve(options, fail)
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => void serving.close().catch(fail))
  process.stdout.write(`listening on ${options.host}:${serving.port}\n`)
  return exitCodes.done
}

async function startLean({ port, host, arrivals }: Options): Promise<Serving> {
  const serving = await serveLean(port, host, arrivals)
  process.on('SIGUSR2', () => process.stdout.write(`served ${serving.served()}\n`))
  return serving
}

/** A fault while it serves ends it at once. */
function fail(error: unknown): never {
  process.stderr.write(`${reasonOf(error)}\n`)
  process.exit(exitCodes.couldNotRun)
}

process.exitCode = await runCommand({ usage, options: flags, run })
