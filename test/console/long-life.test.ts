import t from 'tap'
import { startService, store } from '../api/service.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { build, findBarriers, skip, watch } from './watching.ts'

t.before(build)

t.test(
  'of a long life the first and the last events are shown, and the others on request',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port } = await startService(t, pool)
    await store(pool, Array<string>(700).fill('pay-1'))
    const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
    const rows = page.locator('.timeline tbody tr')
    await go('transaction/pay-1')
    await page.getByText('300 events in between are not shown.').waitFor()
    await until('the first and the last', async () => (await rows.count()) === 401)
    t.match(await rows.last().innerText(), /^700/)
    const gapOf = (row: number) => rows.nth(row).locator('.gap').innerText()
    t.match(await gapOf(199), /^\+/)
    t.equal(
      (await gapOf(201)).trim(),
      '',
      'how long after the one before is not known where that is left out',
    )
    await page.getByRole('button', { name: 'Show more' }).click()
    await page.getByText('100 events in between are not shown.').waitFor()
    await page.getByRole('button', { name: 'Show more' }).click()
    await until('all of them', async () => (await rows.count()) === 700)
    t.strictSame(await findBarriers(page), [])
  },
)
