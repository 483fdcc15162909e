import type { Page } from 'playwright-core'
import t from 'tap'
import { startService, store, storeDeadLetters, storeSuccesses } from '../api/service.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { build, findBarriers, graphql, skip, watch } from './watching.ts'

t.before(build)

/** Presses an action's button, gives a reason, and sends it. */
async function decide(page: Page, verb: string, reason: string): Promise<void> {
  await page.getByRole('button', { name: `${verb} …` }).click()
  await page.getByLabel('Reason').fill(reason)
  await page.getByRole('dialog').getByRole('button', { name: verb, exact: true }).click()
}

t.test('an operator finds a payment, sees its life, and decides about it', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port, events } = await startService(t, pool)
  await storeDeadLetters(pool, ['pay-1', 'pay-2'])
  await storeSuccesses(pool, ['pay-3'], 'ref-3')
  const { page, go, faults, refused } = await watch(t, `http://127.0.0.1:${port}`)
  const timeline = page.locator('.timeline tbody tr')

  await go('now')
  await page.getByRole('searchbox').fill('pay')
  await page.keyboard.press('Enter')
  await page.getByText('Transactions whose id begins with pay').waitFor()
  t.equal(await page.locator('tbody tr').count(), 3)
  t.strictSame(await findBarriers(page), [], 'a list')
  await page.getByRole('searchbox').first().fill('transactions.incoming:0:1')
  await page.keyboard.press('Enter')
  await page.getByText('dead lettered').waitFor()
  t.match(page.url(), /#\/transaction\/pay-2$/, 'the record at these coordinates')
  await page.getByRole('searchbox').fill('nowhere')
  await page.keyboard.press('Enter')
  await page.getByText('no id begins so').waitFor()

  await page.getByRole('searchbox').first().fill('ref-3')
  await page.keyboard.press('Enter')
  await page.getByText('Transactions that the processor calls ref-3').waitFor()
  await page.locator('tbody').getByRole('link', { name: 'pay-3' }).click()
  await page.locator('.timeline').getByText('The processor calls it ref-3.').waitFor()

  await go('transaction/pay-1')
  await until('all events', async () => (await timeline.count()) >= 4)
  t.match(await timeline.allInnerTexts(), [/received/, /attempt started/, /HTTP 422/, /dead lettered/])
  t.notMatch(await page.locator('main').innerText(), '10.10', 'the payload is hidden')
  await page.getByRole('button', { name: 'Show payload and headers' }).click()
  await page.getByText('"amount":"10.10"').waitFor()
  t.strictSame(await findBarriers(page), [], 'a life')

  await page.getByRole('button', { name: 'Resolve …' }).click()
  t.strictSame(await findBarriers(page), [], 'a dialog')
  await page.getByLabel('What became of the payment').selectOption('CARRIED_OUT')
  await page.getByLabel('Evidence').fill('statement 7')
  await page.getByLabel('Reason').fill('the bank says so')
  await page.getByRole('dialog').getByRole('button', { name: 'Resolve', exact: true }).click()
  await page.getByText('statement 7').waitFor()
  t.match(await page.locator('.subject').innerText(), 'resolved: carried out')
  t.equal(await page.getByRole('button', { name: 'Replay …' }).count(), 0, 'it is resolved')
  await decide(page, 'Reopen', 'it was another one')
  await page.getByText('it was another one').waitFor()
  await decide(page, 'Replay', 'the processor is well again')
  await until('the replay', async () => (await page.locator('.subject').innerText()).includes('pending'))
  await decide(page, 'Hold', 'wait for the bank')
  await until('the hold', async () => (await page.locator('.subject').innerText()).includes('on hold'))

  // Somebody else is quicker.
  await page.getByRole('button', { name: 'Release …' }).click()
  t.match(
    await graphql(port, 'mutation { release(transactionId: "pay-1", reason: "quicker") { __typename } }'),
    {
      release: { __typename: 'Decided' },
    },
  )
  events.give()
  await page.getByText('quicker').waitFor()
  await page.getByLabel('Reason').fill('too late')
  await page.getByRole('dialog').getByRole('button', { name: 'Release', exact: true }).click()
  await page.getByRole('alert').getByText('not on hold').waitFor()
  await page.keyboard.press('Escape')
  t.equal(await page.getByRole('dialog').count(), 0)
  t.strictSame(faults, [])
  t.strictSame(refused, [])
})

t.test('what it shows of others is text, whatever stands in it', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  const attack = '<img src=x onerror="window.hit=1">'
  const ids = [
    attack,
    '"><script>window.hit=1</script>',
    'javascript:window.hit=1',
    '../../%2e%2e/?a=b#c',
    '${window.hit=1}{{hit}}',
    "';drop table messages;--`$(hit)`",
  ]
  const headers = JSON.stringify(ids.map((text) => [text, Buffer.from(text).toString('base64')]))
  await store(pool, ids, { headers })
  const { page, go, faults, refused } = await watch(t, `http://127.0.0.1:${port}`)
  for (const id of ids) {
    const query =
      'mutation ($id: ID!, $reason: String!) { cancel(transactionId: $id, reason: $reason) { __typename } }'
    t.match(await graphql(port, query, { id, reason: attack }), { cancel: { __typename: 'Decided' } })
    await go(`transaction/${encodeURIComponent(id)}`)
    await until('its events', async () => (await page.locator('.timeline tbody tr').count()) === 2)
    t.equal(await page.locator('.subject .id').innerText(), id)
    await page.getByRole('button', { name: 'Show payload and headers' }).click()
    await page.locator('pre').waitFor()
    t.ok((await page.locator('.timeline').innerText()).includes(attack))
  }
  await store(pool, ['record:transactions.incoming:0:6'], { rejection: attack })
  for (const place of ['dead-letters', 'failures', 'journal', 'transaction?find=%3Cimg%20src']) {
    await go(place)
    await page.getByText('<img src=x onerror=').first().waitFor()
  }
  t.equal(await page.evaluate('window.hit'), undefined)
  t.equal(await page.locator('main :is(img, script, iframe)').count(), 0)
  t.strictSame([faults, refused], [[], []])
})
