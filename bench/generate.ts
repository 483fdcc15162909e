import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { migrate } from '../src/runtime/migrate.ts'
import { generateMessages } from './generate-messages.ts'
import { mixed } from './message-scripts.ts'

const usage = `Usage: npm run bench:generate -- --url URL [--count N] [--days D]

Fills an empty database with messages of every status, their logs and all that is derived from them, as if the service had been
at work for days. \`npm run verify\` finds nothing wrong with it.

  --url URL   the database; its schema is brought up if it has none
  --count N   messages (default 5000000)
  --days D    over how many days until now they were received (default 30)
  --help      this text

Ends with 0 if it is filled, 2 if it could not run.
`

async function run(values: { url?: string | undefined; count: string; days: string }): Promise<number> {
  if (values.url === undefined) throw new Error('--url must name the database.')
  const startedAt = performance.now()
  const seconds = (): string => `${Math.round((performance.now() - startedAt) / 1_000)} s`
  await migrate({ connectionString: values.url })
  await generateMessages(values.url, {
    count: readCount('count', values.count),
    scripts: mixed,
    days: readCount('days', values.days),
    onProgress: (done) => process.stdout.write(`${done} messages, ${seconds()}\n`),
  })
  process.stdout.write(`done, rollups and statistics included: ${seconds()}\n`)
  return exitCodes.done
}

process.exitCode = await runCommand({
  usage,
  options: {
    url: { type: 'string' },
    count: { type: 'string', default: '5000000' },
    days: { type: 'string', default: '30' },
  },
  run,
})
