import t from 'tap'
import { findFreePort } from '../support/free-port.ts'
import { setUpLine } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'
import { build, findBarriers, skip, watch } from './watching.ts'

t.before(build)

/** A figure of the page Now, by the word above it. */
const figure = (words: string): string => `.tiles div:has(dt .badge:text-is("${words}")) .figure`

t.test('while it is watched the service is killed, and nothing is missed', { skip }, async (t) => {
  // Nothing is ever paid, so that there is always something to see.
  const line = await setUpLine(t, ['--success', '0'])
  const settings = {
    ...line.settings,
    MAX_RETRIES: '1000',
    HOLD_AFTER: '0',
    PORT: String(await findFreePort()),
  }
  const service = await startReadyService(t, settings)
  await line.produce(3)
  const { page, go, faults, refused } = await watch(t, service.url)

  await go('now')
  await until('three messages', async () => {
    const texts = await Promise.all(
      ['pending', 'processing', 'failed'].map((each) => page.locator(figure(each)).innerText()),
    )
    return texts.reduce((sum, text) => sum + Number(text), 0) === 3
  })
  t.equal(await page.locator('.plot canvas').count(), 1)
  await page.getByText('flowing').waitFor()
  t.strictSame(await findBarriers(page), [], 'in light')
  await page.emulateMedia({ colorScheme: 'dark' })
  t.strictSame(await findBarriers(page), [], 'in the dark')
  await page.setViewportSize({ width: 360, height: 700 })
  await until(
    'a phone’s width',
    () => page.evaluate('document.documentElement.scrollWidth <= innerWidth'),
    20_000,
  )
  await page.setViewportSize({ width: 1_440, height: 900 })

  await page.getByRole('button', { name: 'Pause …' }).click()
  await page.getByLabel('Reason').fill('a look at the plumbing')
  await page.getByRole('dialog').getByRole('button', { name: 'Pause' }).click()
  await page.getByText('No payment is sent: the destination is paused').waitFor()
  await page.getByRole('button', { name: 'Resume …' }).click()
  await page.getByLabel('Reason').fill('looked')
  await page.getByRole('dialog').getByRole('button', { name: 'Resume' }).click()
  await page.getByText('No payment is sent').waitFor({ state: 'detached' })

  const { rows } = await line.pool.query<{ id: string }>('select transaction_id as id from messages limit 1')
  const { id } = rows[0]!
  await go(`transaction/${encodeURIComponent(id)}`)
  const versions = page.locator('.timeline tbody tr > td:first-child')
  await until('its life', async () => (await versions.count()) > 5)
  service.kill('SIGKILL')
  await service.ended
  await page.getByText('Cut off: what you see is from before').waitFor()
  t.strictSame(await findBarriers(page), [], 'cut off')
  const before = await versions.count()
  await startReadyService(t, settings)
  await page.getByText('Live', { exact: true }).waitFor()
  await until('what came since', async () => (await versions.count()) > before + 2)
  await page.getByRole('button', { name: 'Cancel …' }).click()
  await page.getByLabel('Reason').fill('enough')
  // Too late while an attempt is open, and the console says so: it is tried again then, as a person would.
  const send = page.getByRole('dialog').getByRole('button', { name: 'Cancel', exact: true })
  await until('the cancellation', async () => {
    if ((await page.getByRole('dialog').count()) === 0) return true
    await send.click({ timeout: 1_000 }).catch(() => undefined)
    return false
  })
  await until('its end', async () => (await page.locator('.subject').innerText()).includes('dead letter'))
  const logged = await line.pool.query<{ version: number }>(
    `select e.version from message_events e join messages m using (message_id) where m.transaction_id = $1 order by 1`,
    [id],
  )
  t.strictSame(
    (await versions.allInnerTexts()).map(Number),
    logged.rows.map(({ version }) => version),
    'each event of the log, once and in order',
  )
  t.strictSame(refused, [])
  // What the browser itself says of a host that does not answer.
  t.strictSame(
    faults.filter((each) => !/ERR_CONNECTION|WebSocket/.test(each)),
    [],
  )
})
