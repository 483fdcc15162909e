import { serveLean } from './mock/lean.ts'
import { readOptions, usage, type Options } from './mock/options.ts'
import { serve, type Serving } from './mock/serve.ts'

/** The mock processor as a process of its own: `npm run mock`, and a part of the embedded mode. */
async function run(): Promise<void> {
  const options = readOptions(process.argv.slice(2))
  if (options === 'help') {
    process.stdout.write(usage)
    return
  }
  const serving = options.lean ? await startLean(options) : await serve(options, fail)
  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => void serving.close().catch(fail))
  process.stdout.write(`listening on ${options.host}:${serving.port}\n`)
}

async function startLean({ port, host }: Options): Promise<Serving> {
  const serving = await serveLean(port, host)
  process.on('SIGUSR2', () => process.stdout.write(`served ${serving.served()}\n`))
  return serving
}

/** One sentence: Node's remarks on flags go on about how to write them. */
function fail(error: unknown): never {
  const [sentence] = (error instanceof Error ? error.message : String(error)).split('\n')
  process.stderr.write(`${sentence}\n`)
  process.exit(1)
}

await run().catch(fail)
