import { fileURLToPath } from 'node:url'
import { exitCodes, runCommand } from '../../src/commands/run-command.ts'
import { Playground } from '../api/graphql/playground.ts'
import { startService, store } from '../api/service.ts'
import { findBrowser, openPage } from './browser.ts'
import { database } from './database.ts'
import { until } from './until.ts'

const usage = `Usage: npm run screenshot

Takes docs/playground.png anew: a live subscription in the playground, from the page as a browser shows it.

  --help  this text

Ends with 0 if it is taken, 2 if it could not run.
`

const file = fileURLToPath(new URL('../../docs/playground.png', import.meta.url))
async function run(): Promise<number> {
  const browser = findBrowser()
  if (browser === null) throw new Error('there is no chromium or google-chrome on the PATH')

  // Outside a test there is no tap to tidy up; what a test would leave to it is done at the end.
  const teardowns: (() => unknown)[] = []
  const t = { teardown: (handler: () => unknown) => teardowns.push(handler) }
  const { pool } = await database(t)
  const { port, events } = await startService(t, pool)
  const { page } = await openPage(t, browser)
  const playground = new Playground(page)
  await page.setViewportSize({ width: 1_440, height: 900 })
  await playground.open(`http://127.0.0.1:${port}/graphql`)
  await playground.choose('LiveEvents')
  await playground.run()
  for (const id of ['tx-1', 'tx-2', 'tx-3']) {
    await store(pool, [id], { room: 1 })
    events.give()
    await until(`the event of ${id}`, async () => (await playground.answer()).includes(id))
  }
  await page.screenshot({ path: file })
  for (const teardown of teardowns.reverse()) await teardown()
  return exitCodes.done
}

process.exitCode = await runCommand({ usage, options: {}, run })
