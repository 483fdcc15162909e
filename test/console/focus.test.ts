import t from 'tap'
import { stepJob } from '../../src/log/write/step-job.ts'
import { startService, storeDeadLetters } from '../api/service.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { build, graphql, skip, watch } from './watching.ts'

t.before(build)

t.test(
  'after a decision the focus stays where one works, and Now leads to a job that waits',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port, destinationChanges } = await startService(t, pool)
    await storeDeadLetters(pool, ['pay-1'])
    const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
    const focused = () => page.evaluate('document.activeElement.textContent')

    await go('now')
    await page.getByRole('button', { name: 'Pause …' }).focus()
    await page.keyboard.press('Enter')
    await page.getByLabel('Reason').fill('a look')
    await page.keyboard.press('Enter')
    await page.getByRole('dialog').waitFor({ state: 'detached' })
    await until('the button that opened it', async () => (await focused()) === 'Pause …')
    // The button goes away with what it was for.
    destinationChanges.give()
    await page.getByText('No payment is sent').waitFor()
    await until('the heading of what is left', async () => (await focused()) === 'Destination')
    t.equal(await page.getByRole('button', { name: 'Pause …' }).count(), 0)

    const { planReplay } = (await graphql(
      port,
      'mutation { planReplay(filter: {}, reason: "it is back") { ... on ReplayPlan { id } } }',
    )) as { planReplay: { id: string } }
    await graphql(port, 'mutation ($plan: ID!) { startReplay(plan: $plan) { __typename } }', {
      plan: planReplay.id,
    })
    await stepJob(pool, planReplay.id, { actor: 'instance-1/jobs', room: 10, leaseMs: 60_000 })
    const sentence = page.locator('li', { hasText: `Job ${planReplay.id}, a replay, waits:` })
    await sentence.getByRole('link', { name: `See job ${planReplay.id}` }).click()
    await page.getByRole('heading', { name: `Job ${planReplay.id}: replay` }).waitFor()
  },
)
