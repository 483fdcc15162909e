import t from 'tap'
import { startService, storeDeadLetters, storeInDoubt } from '../api/service.ts'
import { record, store } from '../log/support.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { build, findBarriers, graphql, skip, watch } from './watching.ts'

t.before(build)

t.test('the state at the moment of any event is shown, as the service folds it', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  await storeDeadLetters(pool, ['pay-1'])
  await storeInDoubt(pool, 'pay-2')
  await graphql(
    port,
    'mutation { resolve(transactionId: "pay-1", as: CARRIED_OUT, reason: "r") { __typename } }',
  )
  const { page, go, faults } = await watch(t, `http://127.0.0.1:${port}`)
  await go('transaction/pay-1')
  const slider = page.getByRole('slider')
  const section = page.locator('section[aria-labelledby="state-at"]')
  const reads = (what: string, words: RegExp) =>
    until(what, async () => words.test((await section.innerText()).replace(/\s+/g, ' ')))
  await page.getByText('moment of event 5').waitFor()
  t.notMatch(await section.innerText(), 'It was', 'nothing is asked before it is moved')

  await slider.focus()
  await page.keyboard.press('Home')
  await reads(
    'the first instant',
    /event 2 Then attempt started.* It was processing with 2 events by then Attempts 1/,
  )
  await page.keyboard.press('ArrowRight')
  await reads(
    'the next',
    /event 4 Then dead lettered.* It was dead letter with 4 events.* Last error HTTP 422/,
  )
  await page.keyboard.press('End')
  await reads(
    'the last',
    /event 5 Then resolved.* It was dead letter resolved: carried out.* Last error HTTP 422/,
  )
  t.match(await slider.getAttribute('aria-valuetext'), /^event 5, resolved/)

  await go('transaction/pay-2')
  await slider.focus()
  await page.keyboard.press('Home')
  await reads('the first instant of one in doubt', /event 2 Then attempt started.* It was processing with/)
  await page.keyboard.press('ArrowRight')
  await reads(
    'that it is in doubt',
    /event 4 Then dead lettered.* It was dead letter may have been paid with/,
  )
  t.strictSame(await findBarriers(page), [])
  t.strictSame(faults, [])
})

t.test(
  'conflicting bytes are side by side, hidden until asked for, what differs marked',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port } = await startService(t, pool)
    const attack = '<img src=x onerror="window.hit=1">'
    await store(pool, [record(0, 'pay-1', { bytes: 'ten' }), record(1, 'pay-1', { bytes: attack })], {
      partition: 0,
    })
    const { page, go, faults } = await watch(t, `http://127.0.0.1:${port}`)
    await go('transaction/pay-1')
    const section = page.locator('section[aria-labelledby="conflicts"]')
    await section.getByText('1 record came with this id').waitFor()
    t.equal(await section.locator('pre').count(), 0, 'hidden')
    await section.getByRole('button', { name: 'Compare the bytes' }).click()
    await section.locator('pre').nth(1).waitFor()
    t.strictSame(await section.locator('pre').allInnerTexts(), [
      '{"transaction_id":"pay-1","bytes":"ten"}',
      JSON.stringify({ transaction_id: 'pay-1', bytes: attack }),
    ])
    t.equal(await section.locator('pre').first().locator('mark').innerText(), 'ten')
    t.match(await section.locator('pre').nth(1).locator('mark').allInnerTexts(), [/img/])
    t.equal(await page.evaluate('window.hit'), undefined)
    t.strictSame(await findBarriers(page), [])
    await section.getByRole('button', { name: 'Hide the bytes' }).click()
    t.equal(await section.locator('pre').count(), 0)

    await section.getByRole('link').click()
    await section.getByText('Another transaction had this id first').waitFor()
    await section.getByRole('button', { name: 'Compare the bytes' }).click()
    t.equal(
      await section.locator('pre').first().locator('mark').innerText(),
      'ten',
      'from the other side too',
    )
    t.strictSame(faults, [])
  },
)
