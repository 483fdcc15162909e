import t from 'tap'
import { startService, storeDeadLetters, well } from '../api/service.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { build, guarded, findBarriers, giveToken, skip, watch } from './watching.ts'

t.before(build)

t.test('who has no token is asked for one, and sees what its holder may do', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool, () => well, guarded)
  await storeDeadLetters(pool, ['pay-1'])
  const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
  await go('now')
  await page.getByText('answers only with a token').waitFor()
  t.strictSame(await findBarriers(page), [])
  await giveToken(page, 'secret-nobody')
  await page.getByRole('alert').getByText(/token/i).waitFor()
  await giveToken(page, 'Bearer secret-victor')
  await page.getByText('victor, viewer').waitFor()
  await page.getByRole('heading', { name: 'Destination' }).waitFor()
  t.equal(await page.getByRole('button', { name: /Pause|Set rate/ }).count(), 0)
  await go('transaction/pay-1')
  await page.getByText('dead lettered').waitFor()
  t.equal(await page.getByRole('button', { name: /Replay|Resolve/ }).count(), 0)
  t.equal(
    await page.getByRole('button', { name: /Show payload/ }).count(),
    0,
    'a viewer is offered no payload',
  )
  await page.reload()
  await page.getByText('victor, viewer').waitFor()
  const kept = await page.evaluate('JSON.stringify([localStorage, document.cookie])')
  t.notMatch(kept, 'secret', 'the token is of this tab alone')
  await page.getByRole('button', { name: 'Forget token' }).click()
  await giveToken(page, 'secret-olga')
  await page.getByText('olga, operator').waitFor()
  await until('her buttons', async () => (await page.getByRole('button', { name: 'Replay …' }).count()) === 1)
  await page.getByRole('button', { name: 'Show payload and headers' }).click()
  await page.getByRole('heading', { name: 'Record’s key' }).waitFor()
})
