import t from 'tap'
import { startBroker } from '../support/broker.ts'
import { findFreePort } from '../support/free-port.ts'
import { setUpLine } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'
import { tqp } from '../tqp/tqp.ts'
import { build, findBarriers, skip, watch } from './watching.ts'

t.before(build)

t.test('a broker that is away is told, with since when and why, until it is back', { skip }, async (t) => {
  const broker = await startBroker(t)
  const line = await setUpLine(t, ['--success', '1'], { brokers: broker.brokers, partitions: 2 })
  const service = await startReadyService(t, { ...line.settings, PORT: String(await findFreePort()) })
  await line.produce(4)
  const { page, go } = await watch(t, service.url)
  page.setDefaultTimeout(120_000)
  const away = page.getByText('This instance is not connected to Kafka')
  const facts = page.locator('section[aria-labelledby="kafka"]')
  const rows = page.locator('section[aria-labelledby="lag"] tbody tr')

  await go('now')
  await facts.getByText('connected', { exact: true }).waitFor()
  await page.getByText('all read').nth(1).waitFor()
  t.match(await facts.innerText(), /Partitions\s+0, 1/)
  t.match((await rows.allInnerTexts()).join(), /all read\s+\S{20,}/, 'and by whom')
  t.equal(await away.count(), 0)
  t.strictSame(await findBarriers(page), [])
  const before = await tqp({ url: service.url }, 'status')
  t.match(before.output, /^kafka {8}connected since \S+Z\n {13}last fetch \S+Z, .*holds 0, 1$/m)

  await broker.kill('SIGKILL')
  await away.waitFor()
  await facts.getByText('not connected', { exact: true }).waitFor()
  t.match(await facts.innerText(), /Why\s+\S/)
  await page.getByText('not known', { exact: true }).nth(1).waitFor()
  t.equal(await page.getByText('all read').count(), 0, 'what is not known is not shown as read')
  t.equal(await page.getByText('Payments flow').count(), 0)
  t.match((await tqp({ url: service.url }, 'status')).output, /^kafka {8}NOT connected since \S+Z: \S/m)

  await broker.restart()
  await away.waitFor({ state: 'detached' })
  await facts.getByText('connected', { exact: true }).waitFor()
  await page.getByText('all read').nth(1).waitFor()
})
