import t from 'tap'
import { startService, storeDeadLetters } from '../api/service.ts'
import { database } from '../support/database.ts'
import { startProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { build, skip, watch } from './watching.ts'

t.before(build)

t.test(
  'a service that says nothing any more is not live, since its last sign of life',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port } = await startService(t, pool)
    const proxy = await startProxy(t, { host: '127.0.0.1', port })
    await storeDeadLetters(pool, ['pay-1'])
    const { page, go } = await watch(t, `http://127.0.0.1:${proxy.port}`)
    page.setDefaultTimeout(60_000)
    await go('dead-letters')
    await page.getByText('Live', { exact: true }).waitFor()
    proxy.blackhole(true)
    const silentSince = performance.now()
    const cut = page.locator('.connection.cut')
    await cut.waitFor()
    t.match(await cut.innerText(), /no sign of life/)
    // The bug was to count from when it was noticed, which is 5 to 15 s later. The clock on the page is up to a second behind.
    await until('the time since', async () => {
      const silentMs = performance.now() - silentSince
      const [, minutes = '0', seconds = '0'] =
        /(?:(\d+) min )?([\d.]+) s so far/.exec(await cut.innerText()) ?? []
      return Number(minutes) * 60_000 + Number(seconds) * 1_000 > silentMs - 3_000
    })
    proxy.cut()
    proxy.blackhole(false)
    await page.getByText('Live', { exact: true }).waitFor()
  },
)

t.test('where the end of the log is not told, it is asked for again after a pause', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  await storeDeadLetters(pool, ['pay-1'])
  const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
  const askedMs: number[] = []
  await page.route('**/graphql', async (route) => {
    const isHead = (route.request().postData() ?? '').includes('"operationName":"Head"')
    if (!isHead) return route.fallback()
    askedMs.push(performance.now())
    return route.fulfill({
      json: {
        data: { head: null },
        errors: [{ message: 'The database does not answer.', extensions: { code: 'DATABASE_UNAVAILABLE' } }],
      },
    })
  })
  await go('transaction/pay-1')
  await page.getByText('The database does not answer.').waitFor()
  await until('three questions', () => Promise.resolve(askedMs.length > 2))
  const [first = 0, second = 0, third = 0] = askedMs
  t.ok(second - first > 1_500, `after ${second - first} ms`)
  t.ok(third - second > 3_000, `after ${third - second} ms`)
  t.equal(await page.getByText('Nothing is stored').count(), 0)
  await page.unroute('**/graphql')
  await page.getByText('HTTP 422').first().waitFor()
})
