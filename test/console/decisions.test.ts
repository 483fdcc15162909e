import t from 'tap'
import { startService, store, storeInDoubt } from '../api/service.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { build, findBarriers, skip, watch } from './watching.ts'

t.before(build)

t.test(
  'a payment in doubt is replayed when the processor was asked, and a decision on its way stays in sight',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port } = await startService(t, pool, undefined, undefined, { keyWindowMs: 1 })
    await storeInDoubt(pool, 'pay-1')
    const { page, go, faults } = await watch(t, `http://127.0.0.1:${port}`)
    const dialog = page.getByRole('dialog')
    const replay = dialog.getByRole('button', { name: 'Replay', exact: true })

    await go('now')
    await page.getByText('Dead letters in doubt, resolved ones too: 1').waitFor()
    await page.locator('li', { hasText: 'in doubt' }).getByRole('link').click()
    await page.getByText('Open dead letters: 1').waitFor()
    await page.getByRole('link', { name: 'pay-1' }).click()
    await page.getByText('its outcome is unknown').waitFor()
    await page.getByRole('button', { name: 'Replay …' }).click()
    await page.getByLabel('Reason').fill('the processor lost it')
    await replay.click()
    await dialog.getByRole('alert').waitFor()
    await dialog.getByLabel('I asked the processor: it was not carried out').check()
    t.strictSame(await findBarriers(page), [], 'a dialog')

    let letOn = (): void => undefined
    let isAsked = false
    const held = new Promise<void>((resolve) => (letOn = resolve))
    await page.route('**/graphql', async (route) => {
      isAsked = true
      await held
      await route.fallback()
    })
    await replay.click()
    await until('the request', () => Promise.resolve(isAsked))
    await page.keyboard.press('Escape')
    await page.keyboard.press('Escape')
    t.ok(await dialog.getByRole('button', { name: 'Close' }).isDisabled())
    t.ok(await dialog.getByRole('button', { name: 'Sending …' }).isVisible(), 'it is on its way, and says so')
    letOn()
    await page.getByText('Replayed: it is due now.').waitFor()
    await page.getByText('the operator confirms that it was not carried out').waitFor()
    t.strictSame(faults, [])
  },
)

t.test('nothing in a text from outside changes what is read', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  const id = 'pay-\u202e001\u202c-\u200b'
  await store(pool, [id])
  const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
  await go(`transaction/${encodeURIComponent(id)}`)
  await page.getByRole('button', { name: 'Show payload and headers' }).click()
  await page.getByLabel('Payload', { exact: true }).waitFor()
  const text = await page.locator('main').innerText()
  t.match(text, String.raw`pay-\u{202e}001\u{202c}-\u{200b}`)
  t.notMatch(text, /[\u200b\u202a-\u202e]/)
})

t.test(
  'an id is not looked for by a beginning that is too short, and the page says so',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port } = await startService(t, pool)
    await store(pool, ['pay-1'])
    const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
    await go('transaction?find=pa')
    await page.getByText('was not asked: that needs 3 bytes or more').waitFor()
  },
)
