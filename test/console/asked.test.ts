import type { Route } from 'playwright-core'
import t from 'tap'
import { startService, storeDeadLetters, well } from '../api/service.ts'
import { database } from '../support/database.ts'
import { build, guarded, giveToken, skip, watch } from './watching.ts'

t.before(build)

t.test('a page that asks again and again is cut off since its last answer', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
  await page.clock.install()
  await go('now')
  await page.getByText('Live', { exact: true }).waitFor()
  await page.getByRole('link', { name: 'Journal', exact: true }).click()
  await page.getByText('No decision was found.').waitFor()
  await page.clock.fastForward('01:00:00')
  const asked = page.waitForResponse('**/graphql')
  await page.clock.runFor(3_000)
  await asked

  const from = new URLSearchParams({ from: '2026-03-02T00:00', to: '2026-03-01T00:00' })
  await go(`journal?${from.toString()}`)
  await page.getByRole('alert').getByText('at.from must lie before at.to').waitFor()
  t.equal(await page.locator('.connection.cut').count(), 0, 'a refusal is no cut')
  t.equal(await page.getByText('Reading …').count(), 0)

  await go('jobs/none')
  await page.getByRole('alert').getByText('The id of a job is a whole number.').waitFor()
  t.equal(await page.locator('.connection.cut').count(), 0)

  await page.getByRole('link', { name: 'Journal', exact: true }).click()
  await page.getByText('No decision was found.').waitFor()
  await page.route('**/graphql', (route) => route.abort())
  await page.clock.runFor(3_000)
  const cut = page.locator('.connection.cut')
  await cut.waitFor()
  t.match(await cut.innerText(), /[\d.]+ m?s so far/)
  t.notMatch(await cut.innerText(), /\d (h|min) /, 'the socket of another page says nothing of this one')
})

t.test('until it is known whose a token is, nobody is shown as its holder', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool, () => well, guarded)
  await storeDeadLetters(pool, ['pay-1'])
  const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
  await go('transaction/pay-1')
  await giveToken(page, 'secret-olga')
  await page.getByText('olga, operator').waitFor()
  await page.getByRole('button', { name: 'Replay …' }).waitFor()

  // As where her token was removed.
  const errors = [{ message: 'A token is needed.', extensions: { code: 'UNAUTHENTICATED' } }]
  await page.route('**/graphql', (route) => route.fulfill({ status: 401, json: { errors } }))
  await go('journal')
  await page.getByLabel('Token', { exact: true }).waitFor()
  await page.unroute('**/graphql')
  await go('transaction/pay-1')
  const held: Route[] = []
  await page.route('**/graphql', async (route) => {
    if ((route.request().postData() ?? '').includes('"operationName":"Viewer"')) held.push(route)
    else await route.fallback()
  })
  await giveToken(page, 'secret-victor')
  await page.getByText('dead lettered').first().waitFor()
  t.equal(await page.getByText('olga').count(), 0)
  t.equal(await page.getByRole('button', { name: 'Replay …' }).count(), 0)
  for (const route of held) await route.continue()
  await page.getByText('victor, viewer').waitFor()
})
