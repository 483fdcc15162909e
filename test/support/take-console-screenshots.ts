import { fileURLToPath } from 'node:url'
import { exitCodes, runCommand } from '../../src/commands/run-command.ts'
import { build } from '../console/watching.ts'
import { findBrowser, openPage } from './browser.ts'
import { setUpLine } from './line.ts'
import { startReadyService } from './service.ts'
import { until } from './until.ts'

const usage = `Usage: npm run screenshot:console

Takes docs/console-*.png anew: the console in light, in the dark and on a phone, while payments flow.

  --help  this text

Ends with 0 if they are taken, 2 if it could not run.
`

const file = (name: string): string =>
  fileURLToPath(new URL(`../../docs/console-${name}.png`, import.meta.url))

async function run(): Promise<number> {
  const browser = findBrowser()
  if (browser === null) throw new Error('there is no chromium or google-chrome on the PATH')
  await build()

  // Outside a test there is no tap to tidy up; what a test would leave to it is done at the end.
  const teardowns: (() => unknown)[] = []
  const t = { teardown: (handler: () => unknown) => teardowns.push(handler) }
  const line = await setUpLine(t, ['--latency', '20', '--success', '0.75'])
  const { url } = await startReadyService(t, { ...line.settings, MAX_RETRIES: '2' })
  const { page } = await openPage(t, browser)
  await page.setViewportSize({ width: 1_200, height: 900 })
  await page.goto(`${url}/console`)
  // Long enough for a line to be seen in the plot.
  await line.produce(2_000, 40)
  await page.screenshot({ path: file('light') })
  await page.setViewportSize({ width: 390, height: 844 })
  await page.screenshot({ path: file('phone') })
  const { rows } = await line.pool.query<{ id: string }>(
    'select transaction_id as id from messages order by attempts desc limit 1',
  )
  await page.emulateMedia({ colorScheme: 'dark' })
  await page.setViewportSize({ width: 1_200, height: 600 })
  await page.goto(`${url}/console#/transaction/${encodeURIComponent(rows[0]?.id ?? '')}`)
  await until('its events', async () => (await page.locator('.timeline tbody tr').count()) > 3)
  await page.screenshot({ path: file('dark') })
  for (const teardown of teardowns.reverse()) await teardown()
  return exitCodes.done
}

process.exitCode = await runCommand({ usage, options: {}, run })
