import t from 'tap'
import { connectThroughProxy, startService, storeDeadLetters } from '../api/service.ts'
import { database } from '../support/database.ts'
import { build, findBarriers, skip, watch } from './watching.ts'

t.before(build)

t.test('a database that does not answer is never shown as nothing', { skip }, async (t) => {
  const { pool, url } = await database(t)
  await storeDeadLetters(pool, ['pay-1'])
  const way = await connectThroughProxy(t, url)
  const { port } = await startService(t, way.pool)
  const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
  // The service itself waits ten seconds for its database.
  page.setDefaultTimeout(60_000)
  const away = page.getByText('The database does not answer')
  const old = page.getByText('What you see is from before.')
  const open = page.getByText('Open dead letters: 1')

  await go('now')
  await page.getByText('Dead letters that wait for a decision: 1').waitFor()
  way.proxy.blackhole(true)
  await away.first().waitFor()
  await page.getByText('These figures are missing').waitFor()
  t.equal(await page.getByText('Payments flow').count(), 0)
  t.strictSame(await findBarriers(page), [], 'now')
  for (const place of ['dead-letters', 'failures', 'partitions', 'journal', 'transaction?find=nowhere']) {
    await go(place)
    await away.first().waitFor()
    t.notMatch(await page.locator('main').innerText(), /Nothing|No such|No decision|from before/, place)
  }
  await page.getByRole('heading', { name: 'Transaction' }).waitFor()
  await go('transaction/pay-1')
  await page.getByText('does not answer').first().waitFor()
  t.notMatch(await page.locator('main').innerText(), 'Nothing is stored')

  way.proxy.blackhole(false)
  await page.getByText('HTTP 422').first().waitFor()
  await go('dead-letters')
  await open.waitFor()
  await page.getByRole('checkbox', { name: 'Choose pay-1' }).waitFor()
  way.proxy.blackhole(true)
  await page.getByLabel('Which').selectOption('resolved')
  await page.getByRole('button', { name: 'Filter' }).click()
  await away.first().waitFor()
  way.proxy.blackhole(false)
  await page.getByText('No such dead letter was resolved.').waitFor()

  await go('partitions')
  await page.locator('tbody tr').waitFor()
  way.proxy.blackhole(true)
  await old.waitFor()
  t.equal(await page.locator('tbody tr').count(), 1, 'what it had stays')
  way.proxy.blackhole(false)
  await old.waitFor({ state: 'detached' })

  await go('journal')
  await page.getByText('No decision was found.').waitFor()
  way.proxy.blackhole(true)
  await page.getByRole('button', { name: 'Export as CSV' }).click()
  await away.first().waitFor()
  t.equal(await page.getByText('Exported').count(), 0)
  way.proxy.blackhole(false)
})
