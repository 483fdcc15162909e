import { parseArgs } from 'node:util'
import { migrate } from '../src/runtime/migrate.ts'
import { generateMessages } from './generate-messages.ts'
import { mixed } from './message-scripts.ts'

const usage = `Usage: npm run bench:generate -- --url URL [--count N] [--days D]

Fills an empty database with messages of every status, their logs and all that is derived from them, as if the service had been
at work for days. \`npm run verify\` finds nothing wrong with it.

  --url URL   the database; its schema is brought up if it has none
  --count N   messages (default 5000000)
  --days D    over how many days until now they were received (default 30)
`

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      count: { type: 'string', default: '5000000' },
      days: { type: 'string', default: '30' },
      help: { type: 'boolean', default: false },
    },
  })
  if (values.help || values.url === undefined) {
    process.stdout.write(usage)
    return
  }
  const startedAt = performance.now()
  const seconds = (): string => `${Math.round((performance.now() - startedAt) / 1_000)} s`
  await migrate({ connectionString: values.url })
  await generateMessages(values.url, {
    count: Number(values.count),
    scripts: mixed,
    days: Number(values.days),
    onProgress: (done) => process.stdout.write(`${done} messages, ${seconds()}\n`),
  })
  process.stdout.write(`done, rollups and statistics included: ${seconds()}\n`)
}

await main()
