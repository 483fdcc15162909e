import type { Page } from 'playwright-core'
import t from 'tap'
import { registerInstance } from '../../src/log/write/register-instance.ts'
import { stepJob } from '../../src/log/write/step-job.ts'
import { startService, store, storeDeadLetters, storeInDoubt, well } from '../api/service.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { build, findBarriers, graphql, guarded, giveToken, skip, watch } from './watching.ts'

t.before(build)

const attack = '<img src=x onerror="window.hit=1">'

// The processor may have forgotten a key that is as old as an attempt.
const forgetful = {
  instance: 'instance-1',
  release: 'test',
  freshMax: 10,
  retryMax: 10,
  leaseMs: 60_000,
  timeoutMs: 1_000,
  retry: { retriesMax: 5, baseDelayMs: 1_000, maxDelayMs: 1_000 },
  keyWindowMs: 59_000,
}

/** Presses an action's button, gives a reason, and sends it. */
async function decide(page: Page, verb: string, reason: string): Promise<void> {
  await page.getByRole('button', { name: `${verb} …` }).click()
  await page.getByLabel('Reason').fill(reason)
  await page.getByRole('dialog').getByRole('button', { name: verb, exact: true }).click()
  await page.getByRole('dialog').waitFor({ state: 'detached' })
}

t.test('from a group it is three presses to a paced replay, which is steered', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port, jobChanges } = await startService(t, pool)
  await storeDeadLetters(pool, ['pay-1', 'pay-2', 'pay-3'])
  await storeInDoubt(pool, 'pay-4')
  const { page, go, faults, refused } = await watch(t, `http://127.0.0.1:${port}`)
  const dialog = page.getByRole('dialog')
  const state = page.locator('main .badge').first()
  const figures = page.locator('main .tiles')
  const rows = page.locator('tbody tr')
  /** What an instance does for the job, and what LISTEN tells. */
  const step = async (): Promise<void> => {
    await stepJob(pool, '1', { actor: 'instance-1/jobs', room: 100, leaseMs: 60_000 })
    jobChanges.give()
  }

  await go('jobs')
  await page.getByText('There is no job').waitFor()
  await go(`failures/${encodeURIComponent('HTTP 422')}`)
  await page.getByRole('button', { name: 'Plan a replay …' }).click()
  await page.getByLabel('Reason').fill(attack)
  await dialog.getByRole('button', { name: 'Plan', exact: true }).click()
  await dialog.getByText('refused: 3').waitFor()
  t.match(await dialog.innerText(), /HTTP 422: 3/)
  t.notMatch(await dialog.innerText(), 'I asked the processor', 'none of them is in doubt')
  await page.getByLabel('Replays a second').fill('0.5')
  await dialog.getByText('At this pace it takes 6.0 s').waitFor()
  await page.getByLabel('Begins with').fill('0.5')
  t.strictSame(await findBarriers(page), [], 'a plan')
  await dialog.getByRole('button', { name: 'Start the replay' }).click()
  await page.getByRole('heading', { name: 'Job 1: replay' }).waitFor()
  t.match(page.url(), /#\/jobs\/1$/)
  t.match(await page.locator('main').innerText(), attack)
  t.strictSame(await findBarriers(page), [], 'a job')

  await page.getByRole('button', { name: 'Change pace …' }).click()
  await page.getByLabel('Replays a second').fill('1000')
  await page.getByLabel('Reason').fill('it holds')
  await dialog.getByRole('button', { name: 'Change pace' }).click()
  await dialog.waitFor({ state: 'detached' })
  jobChanges.give()
  await page.getByText('pace changed, 1,000/s').waitFor()
  await page.getByRole('button', { name: 'Pause …' }).click()
  // Somebody else is quicker, and the dialog says so.
  await graphql(port, 'mutation { pauseReplay(job: "1", reason: "quicker") { __typename } }')
  await page.getByLabel('Reason').fill('too late')
  await dialog.getByRole('button', { name: 'Pause' }).click()
  await page.getByRole('alert').getByText('The job is paused: this cannot be done now.').waitFor()
  await page.keyboard.press('Escape')
  jobChanges.give()
  await page.getByText('quicker').waitFor()
  t.match(await state.innerText(), 'paused')
  await decide(page, 'Resume', 'enough looked')
  jobChanges.give()
  await page.getByText('enough looked').waitFor()
  // One is resolved in the meantime, so it is skipped.
  await graphql(
    port,
    'mutation { resolve(transactionId: "pay-2", as: CARRIED_OUT, reason: "r") { __typename } }',
  )
  await until('two to be replayed', async () => {
    await step()
    return (await figures.innerText()).includes('Replayed\n2')
  })
  await page.getByText('resolved: 1').waitFor()
  await decide(page, 'Abort', 'the rest is for tomorrow')
  jobChanges.give()
  await page.getByText('the rest is for tomorrow').waitFor()
  t.equal(await page.getByRole('button', { name: /Pause|Resume|pace|Abort/ }).count(), 0, 'it has ended')

  await go('jobs')
  await page.getByText('Newest first').waitFor()
  await page.getByText('Live', { exact: true }).waitFor()
  t.match(await rows.allInnerTexts(), [/1 replay\s+aborted\s+3\s+2\s+0\s+0\s+1\s+0/])
  t.ok((await rows.innerText()).includes(attack))
  t.strictSame(await findBarriers(page), [], 'the list')
  await page.setViewportSize({ width: 360, height: 700 })
  await until('a phone’s width', () => page.evaluate('document.documentElement.scrollWidth <= innerWidth'))
  await go('transaction/pay-1')
  await page.getByRole('link', { name: 'job 1' }).click()
  await page.getByRole('heading', { name: 'Job 1: replay' }).waitFor()
  t.equal(await page.evaluate('window.hit'), undefined)
  t.equal(await page.locator('main img').count(), 0)
  t.strictSame([faults, refused], [[], []])
})

t.test(
  'what a filter of dead letters finds is resolved as one decision, and who is in doubt is told',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port } = await startService(t, pool, () => well, guarded)
    await registerInstance(pool, forgetful)
    await store(pool, ['record:transactions.incoming:0:0'], { rejection: attack })
    await storeInDoubt(pool, 'pay-1')
    const { page, go, faults } = await watch(t, `http://127.0.0.1:${port}`)
    const dialog = page.getByRole('dialog')
    await go('dead-letters')
    await giveToken(page, 'secret-olga')
    await page.getByText('Open dead letters: 2').waitFor()
    await page.getByRole('button', { name: 'Plan a replay …' }).click()
    await page.getByLabel('Reason').fill('a test of the bank')
    await dialog.getByRole('button', { name: 'Plan', exact: true }).click()
    await dialog.getByLabel('I asked the processor').waitFor()
    t.match(await dialog.innerText(), /May have been paid\s+1[^]*Can never be sent\s+1/)
    await page.keyboard.press('Escape')
    await page.getByRole('button', { name: 'Look at plan 1 …' }).click()
    await dialog.getByLabel('I asked the processor').check()
    await dialog.getByRole('button', { name: 'Start the replay' }).click()
    await page.getByRole('heading', { name: 'Job 1: replay' }).waitFor()
    const started = await pool.query(
      'select is_confirmed as confirmed, per_second, ramp_from, stop_share, stop_after from replay_jobs',
    )
    t.strictSame(started.rows, [
      { confirmed: true, per_second: 50, ramp_from: 5, stop_share: 0.5, stop_after: 20 },
    ])

    await go('dead-letters')
    await page.getByRole('button', { name: 'Plan a replay …' }).click()
    await page.getByLabel('Reason').fill('again')
    await dialog.getByRole('button', { name: 'Plan', exact: true }).click()
    await dialog.getByRole('button', { name: 'Resolve them instead …' }).click()
    await page.getByLabel('What became of the payments').selectOption('IGNORED')
    await page.getByLabel('Reason').fill('they never had it')
    t.strictSame(await findBarriers(page), [], 'a resolution')
    await dialog.getByRole('button', { name: 'Resolve all' }).click()
    await page.getByRole('heading', { name: 'Job 2: resolve as ignored' }).waitFor()
    t.equal(await page.getByRole('button', { name: /pace/ }).count(), 0, 'a resolution has no pace')
    t.equal(await page.getByRole('button', { name: 'Pause …' }).count(), 1)

    await page.getByRole('button', { name: 'Forget token' }).click()
    await giveToken(page, 'secret-victor')
    await page.getByRole('heading', { name: 'Job 2: resolve as ignored' }).waitFor()
    await page.getByText('victor, viewer').waitFor()
    t.equal(await page.getByRole('button', { name: /Pause|Abort/ }).count(), 0)
    await go('dead-letters')
    await page.getByText('Open dead letters: 2').waitFor()
    t.equal(await page.getByRole('button', { name: /Plan/ }).count(), 0)
    // What the browser itself says of a request without a token.
    t.strictSame(
      faults.filter((each) => !/401|WebSocket/.test(each)),
      [],
    )
  },
)
